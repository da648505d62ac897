import type { DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { withoutJobs } from './forget-script.ts';
import { forgetStudy } from './forget-study.ts';
import { Records } from './index.ts';

const prefix = '{forget}';
let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

it('the size of a study is that of all its keys, with its part of each index', async () => {
  const records = new Records(redis, prefix);
  const terms = {
    before: Number.MAX_SAFE_INTEGER,
    sourceOfTarget: {},
    jobs: withoutJobs,
    keys: { choices: `${prefix}:choices`, held: `${prefix}:held`, waits: `${prefix}:waits`, left: `${prefix}:left` },
  };
  const route = async (index: number): Promise<void> => {
    const study = {
      source: 'main',
      orthancStudyId: `o-${index}`,
      epoch: '1',
      studyInstanceUid: `1.2.${index}`,
      contentHash: 'h',
      instanceCount: 3,
      modalities: ['CT'],
      rules: ['all', 'ct'],
      targets: ['pacs'],
      studyTaskId: `s-${index}`,
      routedAt: 1_700_000_000_000,
      lastUpdate: undefined,
      search: { key: 'k', hashes: ['abcdefgh', 'hgfedcba'] },
    };
    const delivery = { ...study, target: 'pacs', priority: 'normal', deliveryId: `d-${index}` };
    await records.routed(study, [delivery as unknown as DeliveryData]);
    await records.update(`d-${index}`, { state: 'delivered' });
  };
  const size = (dryRun: boolean | 'measured') =>
    forgetStudy(redis, prefix, { source: 'main', orthancStudyId: 'o-1' }, { ...terms, dryRun });
  const allBytes = async (): Promise<number> => {
    const sizes = (await redis.keys(`${prefix}:*`)).map((key) => redis.memory('USAGE', key));
    return (await Promise.all(sizes)).reduce<number>((sum, bytes) => sum + Number(bytes), 0);
  };
  await route(1);
  expect(await size('measured')).toEqual({ answer: 'forgotten', deliveries: 1, bytes: await allBytes() });
  expect(await size(true)).toEqual({ answer: 'forgotten', deliveries: 1, bytes: 0 });
  for (let index = 2; index <= 400; index += 1) await route(index);
  const { bytes } = await size('measured');
  const average = (await allBytes()) / 400;
  expect(bytes).toBeGreaterThan(0.8 * average);
  expect(bytes).toBeLessThan(1.3 * average);
});
