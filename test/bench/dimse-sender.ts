/** Run by dimse-send.ts: sends a set with dicom-dimse, from files or from Orthanc's REST API, and prints figures as JSON. */
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createOrthancClient } from '@dicom-dispatch/orthanc';
import { connect, peekPart10 } from 'dicom-dimse';
import type { Association, ByteSource } from 'dicom-dimse';

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

interface Item {
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  readonly sizeBytes: number;
  open(): Promise<ByteSource> | ByteSource;
}

const LARGE_BYTES = 64_000_000;

const task = JSON.parse(process.argv[2] ?? '{}') as SenderTask;
const items = task.folder === undefined ? await fromOrthanc(task.orthanc ?? '') : await fromFolder(task.folder);
const begun = performance.now();
const cpu = process.cpuUsage();
const contexts = new Map(items.map((item) => [`${item.sopClassUid} ${item.transferSyntaxUid}`, item]));
const associations = await Promise.all(
  Array.from({ length: Math.min(task.associations, items.length) }, () =>
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
// As a sender does: some instances ahead for each association, of large ones two.
const isLarge = items.some((item) => item.sizeBytes > LARGE_BYTES);
const lanes = associations.flatMap((association) => Array.from({ length: isLarge ? 2 : 4 }, () => association));
let next = 0;
let sent = 0;
await Promise.all(lanes.map(runLane));
const { user, system } = process.cpuUsage(cpu);
const seconds = (performance.now() - begun) / 1000;
await Promise.all(associations.map((association) => association.release()));
console.log(
  JSON.stringify({
    sent,
    seconds,
    cpuSeconds: (user + system) / 1e6,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  } satisfies SenderReport),
);
process.exit(0);

async function runLane(association: Association): Promise<void> {
  for (;;) {
    const item = items[next];
    if (item === undefined) return;
    next += 1;
    const result = await association.store(await item.open());
    if (result.class === 'success' || result.class === 'warning') sent += 1;
  }
}

async function fromFolder(folder: string): Promise<Item[]> {
  const names = (await readdir(folder)).sort();
  return Promise.all(
    names.map(async (name) => {
      const path = join(folder, name);
      const sizeBytes = (await stat(path)).size;
      const { meta } = await peekPart10(createReadStream(path, { end: 4095 }));
      return {
        sopClassUid: meta.sopClassUid,
        transferSyntaxUid: meta.transferSyntaxUid,
        sizeBytes,
        open: async () =>
          sizeBytes > 4_000_000 ? createReadStream(path, { highWaterMark: 512 * 1024 }) : [await readFile(path)],
      };
    }),
  );
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
        open: async () => (await client.instanceFile(instance.id)).body,
      });
    }
  }
  return items;
}
