/**
 * What the ledgers of finished deliveries take in Redis, before and after they are folded.
 *
 *   node test/bench/ledger-at-rest.ts [--deliveries 20000] [--instances 500]
 */
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { startRedis } from '@dicom-dispatch/harness';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { createLedger } from '@dicom-dispatch/state/ledger';

const { values } = parseArgs({
  options: { deliveries: { type: 'string', default: '20000' }, instances: { type: 'string', default: '500' } },
});
const [deliveries, instances] = [Number(values.deliveries), Number(values.instances)];
/** As many studies are in hashes for the comparison. */
const sample = 200;

await using redis = await startRedis({ appendonly: false });
const client = connectRedis(redis.url, 'bench', createLogger('bench', { level: 'error', format: 'json' }));
const ledger = createLedger(client, { prefix: '{dicom-dispatch}' });

/** A study as a scanner makes it and Orthanc takes it: some forty instances a second, of sizes that differ a little. */
function study(index: number) {
  const root = `1.2.840.113619.2.55.3.${604_688_119 + index * 7}.${969 + (index % 31)}.${1_268_071_029 + index * 13}`;
  const key = {
    source: 'main',
    orthancStudyId: randomBytes(20)
      .toString('hex')
      .replaceAll(/(.{8})(?=.)/g, '$1-'),
    studyInstanceUid: root,
    target: 'pacs',
  };
  const startedAt = 1_700_000_000_000 + index * 60_000;
  const outcomes = Array.from({ length: instances }, (_, at) => ({
    sopInstanceUid: `${root}.${650 + Math.floor(at / 250)}.${(at % 250) + 1}`,
    seriesInstanceUid: `${root}.${Math.floor(at / 250)}`,
    version: `${new Date(startedAt + at * 25).toISOString().replaceAll(/[-:]|\..*/g, '')}/${526_000 + ((at * 37 + index) % 90)}`,
    attempt: 1,
    deliveryId: `d-${randomBytes(10).toString('hex')}`.slice(0, 12),
    at: startedAt + 60_000 + at * 4 + (randomBytes(1)[0]! % 4),
  })).map((one, _, [first]) => ({ ...one, deliveryId: first?.deliveryId ?? '' }));
  return { key, outcomes };
}

async function usedBytes(): Promise<number> {
  return Number(/used_memory_dataset:(\d+)/.exec(await client.info('memory'))?.[1]);
}

const empty = await usedBytes();
for (let index = 0; index < sample; index += 1) {
  const { key, outcomes } = study(deliveries + index);
  await ledger.confirm(key, outcomes);
}
const inHashes = (await usedBytes()) - empty;
await client.flushall();
const before = await usedBytes();
const begun = performance.now();
for (let index = 0; index < deliveries; index += 8) {
  await Promise.all(
    Array.from({ length: Math.min(8, deliveries - index) }, async (_, at) => {
      const { key, outcomes } = study(index + at);
      await ledger.confirm(key, outcomes);
      await ledger.fold(key, outcomes);
    }),
  );
}
const folded = (await usedBytes()) - before;
const perDelivery = folded / deliveries;
console.log(
  `${deliveries} deliveries of ${instances}: ${Math.round(perDelivery)} bytes each folded, ${Math.round(inHashes / sample)} in hashes; ` +
    `1,000,000 take ${(perDelivery / 1_000).toFixed(2)} GB; ${Math.round((performance.now() - begun) / deliveries)} ms each to write and fold`,
);
client.disconnect();
