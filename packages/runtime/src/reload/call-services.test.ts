import { startRedisCluster, waitFor } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { redisNow } from '@dicom-dispatch/state/redis';
import { expect, it } from 'vitest';
import { createLogger } from '../logging/create-logger.ts';
import { connectRedis } from '../redis/connect-redis.ts';
import { callServices } from './call-services.ts';
import { listenForReloads } from './listen-for-reloads.ts';
import type { ReloadAnswer } from './reload-messages.ts';

const prefix = '{dicom-dispatch}';

it('on a Cluster waits for processes that listen, and not for one that was killed', async () => {
  await using cluster = await startRedisCluster();
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis({ cluster: cluster.members.map(({ host, port }) => `${host}:${port}`) }, 'test', log);
  const ready: string[] = [];
  const listeners = ['one', 'two', 'three', 'suspended'].map((process) => {
    const answer = { process, services: ['router'], file: 'f', outcome: 'ready', reasons: [], restart: [], notes: [] };
    const never = new Promise<ReloadAnswer>(() => {});
    const check = async (id: string) => (process === 'suspended' && id === 'b' ? never : (answer as ReloadAnswer));
    const steps = { check, apply: check, forget: () => {}, missed: () => ready.push(process) };
    return listenForReloads(redis, prefix, log, steps, 60_000);
  });
  const keys = redisKeys(prefix);
  try {
    await waitFor(() => ready.length >= listeners.length);
    // Its last heartbeat is not old yet.
    await redis.zadd(keys.processes, await redisNow(redis, prefix), 'killed');
    await redis.set(keys.process('killed'), JSON.stringify({ services: ['console'], host: 'h', pid: 7 }));
    const good = await callServices(redis, prefix, { id: 'a', step: 'check' }, 60_000, 30_000);
    expect(good.answers.map(({ process }) => process)).toEqual(['one', 'suspended', 'three', 'two']);
    expect(good.missing).toBe(0);
    const silent = await callServices(redis, prefix, { id: 'b', step: 'check' }, 10_000, 30_000);
    expect([silent.answers.length, silent.missing]).toEqual([3, 1]);
  } finally {
    for (const one of listeners) one.stop();
    redis.disconnect();
  }
});
