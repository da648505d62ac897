/**
 * What finished deliveries take in Redis: records, indexes, ledger and receipt, by kind of key.
 *
 *   node test/bench/redis-at-rest.ts [--deliveries 20000] [--instances 500]
 */
import { createHash, randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { contentHash, deliveryId, studyTaskId, type DeliveryData } from '@dicom-dispatch/core';
import { startRedis } from '@dicom-dispatch/harness';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { createLedger } from '@dicom-dispatch/state/ledger';
import { Receipts, receiptsInRedis } from '@dicom-dispatch/state/receipts';
import { act, fromNow, Records, type StudyRecord } from '@dicom-dispatch/state/records';

const { values } = parseArgs({
  options: { deliveries: { type: 'string', default: '20000' }, instances: { type: 'string', default: '500' } },
});
const [deliveries, instances] = [Number(values.deliveries), Number(values.instances)];
const prefix = '{dicom-dispatch}';
/** Receipts are measured of so many: 20,000 would take 400 MB. */
const withReceipt = 200;

await using redis = await startRedis({ appendonly: false });
const client = connectRedis(redis.url, 'bench', createLogger('bench', { level: 'error', format: 'json' }));
const ledger = createLedger(client, { prefix });
const records = new Records(client, prefix);
const receipts = new Receipts(client, prefix, receiptsInRedis(client, prefix, 'forever'));
const hash = (text: string): string => createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url');

/** A study as a scanner makes it and Orthanc takes it: some forty instances a second, of sizes that differ a little. */
function made(index: number) {
  const root = `1.2.840.113619.2.55.3.${604_688_119 + index * 7}.${969 + (index % 31)}.${1_268_071_029 + index * 13}`;
  const orthancStudyId = randomBytes(20)
    .toString('hex')
    .replaceAll(/(.{8})(?=.)/g, '$1-');
  const [source, target] = ['main', 'pacs'];
  const startedAt = 1_700_000_000_000 + index * 60_000;
  const manifest = Array.from({ length: instances }, (_, at) => ({
    sopInstanceUid: `${root}.${650 + Math.floor(at / 250)}.${(at % 250) + 1}`,
    seriesInstanceUid: `${root}.${Math.floor(at / 250)}`,
    version: `${new Date(startedAt + at * 25).toISOString().replaceAll(/[-:]|\..*/g, '')}/${526_000 + ((at * 37 + index) % 90)}`,
    at: startedAt + 60_000 + at * 4 + (randomBytes(1)[0]! % 4),
  }));
  const identity = { source, orthancStudyId, contentHash: contentHash(manifest) };
  const task = {
    ...identity,
    epoch: '1',
    studyInstanceUid: root,
    instanceCount: instances,
    modalities: ['CT'],
    studyTaskId: studyTaskId(identity),
    rules: ['ct-to-pacs'],
    routedAt: startedAt + 59_000,
  };
  const study: StudyRecord = {
    ...task,
    targets: [target],
    lastUpdate: '20231114T221320',
    search: {
      key: hash('key').slice(0, 8),
      hashes: ['accession', 'patient', 'series 0', 'series 1'].map((kind) => hash(`${kind} ${index}`)),
    },
  };
  const delivery: DeliveryData = {
    ...task,
    priority: 'normal',
    deliveryId: deliveryId({ ...identity, target }),
    target,
  };
  return { study, delivery, manifest, key: { source, orthancStudyId, studyInstanceUid: root, target } };
}

/** What a dispatcher writes of a delivery that arrives at its first attempt. */
async function deliver(index: number): Promise<void> {
  const { study, delivery, manifest, key } = made(index);
  const id = delivery.deliveryId;
  const lock = { lock: `${prefix}:target-pacs:${id}:lock`, token: randomBytes(18).toString('base64url') };
  await records.routed({ ...study, lastUpdate: undefined }, [delivery]);
  await records.enqueued(study);
  await records.change(id, {
    ...act('begin'),
    patch: {
      state: 'active',
      wake: 'attempt',
      stage: 'resolve',
      ledger: 'pacs',
      place: 'dicom PACS@pacs.example:104',
      attempts: 1,
      startedAt: fromNow(),
      worker: 'dispatcher-1 4711',
      ...lock,
    },
    event: { kind: 'started', attempt: 1, worker: 'dispatcher-1 4711', text: 'attempt 1 started' },
  });
  const counts = { total: instances, confirmed: instances, quarantined: 0, addBytesSent: instances * 526_000 };
  await records.change(id, {
    ...act('end'),
    patch: { state: 'delivered', endedAt: fromNow(), stage: 'finalize', failStage: null, error: null, ...counts },
    event: { kind: 'ended', attempt: 1, text: `${instances} of ${instances} instances confirmed` },
  });
  const told = manifest.map((one) => ({
    ...one,
    attempt: 1,
    deliveryId: id,
    ...(index < withReceipt && {
      receipt: {
        ...one,
        sizeBytes: Number(one.version.split('/')[1]),
        sha256: randomBytes(32).toString('hex'),
        attempt: 1,
        answer: '0000',
        place: 'dicom PACS@pacs.example:104',
      },
    }),
  }));
  await ledger.confirm(key, told);
  await ledger.fold(key, told);
  if (index < withReceipt) await receipts.pack(id);
}

async function usedBytes(): Promise<number> {
  return Number(/used_memory_dataset:(\d+)/.exec(await client.info('memory'))?.[1]);
}

/** Bytes a delivery of each kind of key. Of the receipts, those that there are. */
async function byKind(): Promise<string> {
  const bytes = new Map<string, number>();
  const kinds = /^(index:[^:]*|[^:]*)/;
  let cursor = '0';
  do {
    const [next, keys] = await client.scan(cursor, 'MATCH', `${prefix}:*`, 'COUNT', 5_000);
    cursor = next;
    const pipeline = client.pipeline();
    for (const key of keys) pipeline.memory('USAGE', key, 'SAMPLES', 1_000);
    for (const [at, [, size]] of ((await pipeline.exec()) ?? []).entries()) {
      const kind = kinds.exec(keys[at]!.slice(prefix.length + 1))?.[0] ?? '';
      bytes.set(kind, (bytes.get(kind) ?? 0) + Number(size));
    }
  } while (cursor !== '0');
  return [...bytes]
    .map(
      ([kind, size]) =>
        [kind, Math.round(size / (kind === 'receipt' ? Math.min(withReceipt, deliveries) : deliveries))] as const,
    )
    .toSorted(([, one], [, other]) => other - one)
    .map(([kind, size]) => `  ${kind}: ${size}`)
    .join('\n');
}

const empty = await usedBytes();
for (let index = 0; index < deliveries; index += 8) {
  await Promise.all(Array.from({ length: Math.min(8, deliveries - index) }, (_, at) => deliver(index + at)));
}
const kinds = await byKind();
const keys = await client.keys(`${prefix}:receipt:*`);
if (keys.length > 0) await client.del(...keys);
const each = async (): Promise<number> => ((await usedBytes()) - empty) / deliveries;
const told = (bytes: number): string =>
  `${Math.round(bytes)} bytes each without receipt, 1,000,000 take ${(bytes / 1_000).toFixed(2)} GB`;
console.log(`${deliveries} deliveries of ${instances}: ${told(await each())}\n${kinds}`);
client.disconnect();
