/**
 * Size of the index of SOP Instance UIDs in Redis and time per attempt (docs/decisions/0020-shared-uids.md).
 *
 *   ./dispatch bench shared-uids --help
 */
import { randomBytes } from 'node:crypto';
import { readLongCommand, startRedis } from '@dicom-dispatch/harness';
import { connectRedis, createLogger } from '@dicom-dispatch/runtime';
import { SharedUids } from '@dicom-dispatch/state/shared-uids';

const { values } = readLongCommand({
  usage: './dispatch bench shared-uids',
  about: 'Size of the index of SOP Instance UIDs in Redis, and time per attempt.',
  options: {
    studies: { type: 'number', default: 4000, about: 'studies' },
    instances: { type: 'number', default: 500, about: 'instances in each' },
  },
});
const { studies, instances } = values;

await using redis = await startRedis({ appendonly: false });
const client = connectRedis(redis.url, 'bench', createLogger('bench', { level: 'error', format: 'json' }));
const shared = new SharedUids(client, '{dicom-dispatch}');

const forms = {
  numbered: (study: number, at: number) =>
    `1.2.840.113619.2.55.3.${604_688_119 + study * 7}.${1_268_071_029 + study * 13}.${at}`,
  random: () => `2.25.${BigInt(`0x${randomBytes(16).toString('hex')}`)}`,
};

async function usedBytes(): Promise<number> {
  return Number(/used_memory_dataset:(\d+)/.exec(await client.info('memory'))?.[1]);
}

for (const [form, uidOf] of Object.entries(forms)) {
  await client.flushall();
  const empty = await usedBytes();
  for (const [from, to] of [
    [0, Math.floor(studies / 10)],
    [Math.floor(studies / 10), studies],
  ] as const) {
    const before = await usedBytes();
    const begun = performance.now();
    for (let study = from; study < to; study += 1) {
      const orthancStudyId = randomBytes(20)
        .toString('hex')
        .replaceAll(/(.{8})(?=.)/g, '$1-');
      const uids = Array.from({ length: instances }, (_, at) => uidOf(study, at + 1));
      await shared.add({ source: 'main', orthancStudyId }, uids);
    }
    const count = to - from;
    const ms = (performance.now() - begun) / count;
    const bytes = ((await usedBytes()) - before) / count;
    console.log(
      `${form}: studies ${from + 1} to ${to}: ${Math.round(bytes)} bytes and ${ms.toFixed(1)} ms a study; all ${(((await usedBytes()) - empty) / 1e6).toFixed(1)} MB`,
    );
  }
}
client.disconnect();
