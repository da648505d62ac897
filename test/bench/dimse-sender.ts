/** Run by dimse-send.ts: sends a set with dicom-dimse, from files or from Orthanc's REST API, and prints figures as JSON. */
import { createReadStream } from 'node:fs';
import { open, readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createOrthancClient } from '@dicom-dispatch/orthanc';
import { connect, peekPart10 } from 'dicom-dimse';
import type { ByteSource } from 'dicom-dimse';

export interface SenderTask {
  readonly port: number;
  /** Where it is read from. */
  readonly folder?: string;
  readonly orthanc?: string;
  readonly associations: number;
  readonly earlyByte: boolean;
}

export interface SenderReport {
  readonly sent: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
}

interface Opened {
  readonly source: ByteSource;
  readonly releaseChunk?: (chunk: Uint8Array) => void;
}

interface Item {
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  readonly sizeBytes: number;
  open(): Promise<Opened> | Opened;
}

const LARGE_BYTES = 64_000_000;
/** Number of small instances sent before the measurement: a dispatcher runs for months, and Node compiles code while it runs. */
const WARM_UP_INSTANCES = 60;
const BLOCK_BYTES = 1024 * 1024;
/** Blocks that files were read into and that have been sent. */
const free: Buffer[] = [];

const task = JSON.parse(process.argv[2] ?? '{}') as SenderTask;
const items = task.folder === undefined ? await fromOrthanc(task.orthanc ?? '') : await fromFolder(task.folder);
const contexts = new Map(items.map((item) => [`${item.sopClassUid} ${item.transferSyntaxUid}`, item]));
// As a sender does: some instances ahead for each association, of large ones two.
const isLarge = items.some((item) => item.sizeBytes > LARGE_BYTES);
if (!isLarge) await sendAll(items.slice(0, WARM_UP_INSTANCES));
const begun = performance.now();
const cpu = process.cpuUsage();
const sent = await sendAll(items);
const { user, system } = process.cpuUsage(cpu);
const seconds = (performance.now() - begun) / 1000;
console.log(
  JSON.stringify({
    sent,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakBytes: await peakOfThisProcess(),
  } satisfies SenderReport),
);
process.exit(0);

/** @returns how many have arrived, on separate associations */
async function sendAll(wanted: readonly Item[]): Promise<number> {
  const associations = await Promise.all(
    Array.from({ length: Math.min(task.associations, wanted.length) }, () =>
      connect({
        host: '127.0.0.1',
        port: task.port,
        callingAeTitle: 'DIMSE_BENCH',
        calledAeTitle: 'ANY_SCP',
        earlyByte: task.earlyByte,
        presentationContexts: [...contexts.values()].map((item) => ({
          abstractSyntax: item.sopClassUid,
          transferSyntaxes: [item.transferSyntaxUid],
        })),
      }),
    ),
  );
  const lanes = associations.flatMap((association) => Array.from({ length: isLarge ? 2 : 4 }, () => association));
  const queue = wanted.values();
  let arrived = 0;
  await Promise.all(
    lanes.map(async (association) => {
      for (const item of queue) {
        const { source, ...options } = await item.open();
        const result = await association.store(source, options);
        if (result.class === 'success' || result.class === 'warning') arrived += 1;
      }
    }),
  );
  await Promise.all(associations.map((association) => association.release()));
  return arrived;
}

async function fromFolder(folder: string): Promise<Item[]> {
  const items: Item[] = [];
  for (const name of (await readdir(folder)).sort()) {
    const path = join(folder, name);
    const sizeBytes = (await stat(path)).size;
    const { meta } = await peekPart10(createReadStream(path, { end: 4095 }));
    items.push({
      sopClassUid: meta.sopClassUid,
      transferSyntaxUid: meta.transferSyntaxUid,
      sizeBytes,
      open: () => openFile(path, sizeBytes),
    });
  }
  return items;
}

/** A file in blocks that are used again and again. */
function openFile(path: string, sizeBytes: number): Opened {
  async function* read(): AsyncGenerator<Buffer> {
    const file = await open(path);
    try {
      for (let at = 0; at < sizeBytes;) {
        const block = free.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
        const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, at);
        if (bytesRead === 0) return;
        at += bytesRead;
        yield block.subarray(0, bytesRead);
      }
    } finally {
      await file.close();
    }
  }
  return { source: read(), releaseChunk: (chunk) => void free.push(Buffer.from(chunk.buffer)) };
}

/** Not `resourceUsage().maxRSS`: this starts with that of the parent when it forked. */
async function peakOfThisProcess(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

async function fromOrthanc(url: string): Promise<Item[]> {
  const client = createOrthancClient({ url, maxConnections: 32 });
  const items: Item[] = [];
  const studies = (await (await fetch(`${url}/studies`)).json()) as string[];
  for (const study of studies) {
    for (const instance of await client.studyInstances(study)) {
      items.push({
        sopClassUid: instance.sopClassUid ?? '',
        transferSyntaxUid: instance.transferSyntaxUid ?? '',
        sizeBytes: instance.fileSizeBytes,
        async open() {
          const file = await client.instanceFile(instance.id);
          return { source: file.body, releaseChunk: (chunk) => file.release(chunk) };
        },
      });
    }
  }
  return items;
}
