import { readFile, writeFile } from 'node:fs/promises';
import { leasePort, startDcmqrscp, type DcmqrscpServer, type PortLease } from '@dicom-dispatch/harness';
import type { Holding, ListedInstance } from '@dicom-dispatch/target-kit';
import { TestDelivery } from '@dicom-dispatch/target-kit/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { fixtureStudy } from '../contract-suite/index.ts';
import { dicomHandler } from './handler.ts';
import { dicomTarget, type DicomTarget } from './schema.ts';

const study = fixtureStudy({ seed: 'inventory', series: 1, instancesPerSeries: 4, rows: 16, columns: 16 });
const uids = study.instances.map(({ manifest }) => manifest.sopInstanceUid);
let archive: DcmqrscpServer;
let lease: PortLease;

beforeAll(async () => {
  lease = await leasePort();
  archive = await startDcmqrscp({ moveDestinations: [{ aet: 'MOVEDEST', port: lease.port }] });
  const { error } = await new TestDelivery(dicomHandler, study).attempt(configured());
  expect(error).toBeUndefined();
  const files = new Map((await archive.received()).map(({ sopInstanceUid, path }) => [sopInstanceUid, path]));
  const [cut, altered] = [files.get(uids[1]!)!, files.get(uids[2]!)!];
  await writeFile(cut, (await readFile(cut)).subarray(0, -20));
  const bytes = await readFile(altered);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 9) ^ 0xff, bytes.length - 9);
  await writeFile(altered, bytes);
});
afterAll(async () => {
  await archive?.stop();
  lease?.release();
});

function configured(more: object = {}): DicomTarget {
  const { port, aet: calledAeTitle } = archive;
  return dicomTarget.parse({ type: 'dicom', host: '127.0.0.1', port, calledAeTitle, maxParallel: 1, ...more });
}

async function listed(config: DicomTarget): Promise<{ holdings: Map<string, Holding>; requests: number }> {
  let requests = 0;
  const inventory = await dicomHandler.inventory!({
    config,
    targetName: 'pacs',
    memory: { get: async () => undefined, set: async () => {}, delete: async () => {} },
    log: { info() {}, warn() {} },
    pace: async () => void (requests += 1),
    signal: AbortSignal.timeout(60_000),
  });
  const instances: ListedInstance[] = study.instances.map(({ manifest: instance, read }) => ({
    instance,
    sizeBytes: instance.sizeBytes,
    answer: undefined,
    sha256: async () => undefined,
    async open() {
      async function* body(): AsyncGenerator<Uint8Array> {
        yield* read();
      }
      return { sizeBytes: instance.sizeBytes, body: body() };
    },
  }));
  const holdings = new Map<string, Holding>();
  for await (const one of inventory.list({ study: study.tags, instances, content: true })) {
    if (one.kind !== 'extra') holdings.set(one.instance.instance.sopInstanceUid, one);
  }
  await inventory.close();
  return { holdings, requests };
}

it.each(['get', 'move'] as const)('retrieves by C-%s, and names what was cut and altered', async (retrieve) => {
  const moveTo = { aeTitle: 'MOVEDEST', listen: `127.0.0.1:${lease.port}` };
  const { holdings, requests } = await listed(configured(retrieve === 'move' ? { retrieve, moveTo } : {}));
  expect(uids.map((uid) => holdings.get(uid))).toMatchObject([
    { kind: 'held', content: 'same' },
    { kind: 'held', content: 'different', detail: expect.stringMatching(/cannot be retrieved|ends early/) },
    { kind: 'held', content: 'different', detail: 'differs in PixelData' },
    { kind: 'held', content: 'same' },
  ]);
  // Three associations, one list, four instances; the one that does not arrive once more, and then another one.
  expect(requests).toBe(10);
});
