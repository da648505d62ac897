import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Standby } from './standby.ts';

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

/** Routers by name, and their known state. */
function routers(prefix: string) {
  const keys = redisKeys(prefix);
  const of = (id: string) => new Standby(redis, prefix, id);
  return {
    beat: (id: string) => of(id).beat(),
    /** It has run for more than a minute. */
    async start(id: string) {
      await of(id).beat();
      if (await redis.hexists(keys.expectedRouters, 'moreSince'))
        await redis.hincrby(keys.expectedRouters, 'moreSince', -61_000);
      await of(id).beat();
    },
    stop: (id: string) => of(id).leave(),
    /** It has not reported for a minute. */
    crash: (id: string) => redis.zincrby(keys.routers, -60_000, id),
    age: (field: 'since', ms: number) => redis.hincrby(keys.expectedRouters, field, -ms),
    async known() {
      const { routers: expected, since } = await redis.hgetall(keys.expectedRouters);
      return { expected: Number(expected), isMissing: since !== undefined };
    },
  };
}

it('a router that ended without being stopped is missing until another one replaces it', async () => {
  const { start, crash, known } = routers('{crash}');
  await start('a');
  await start('b');
  expect(await known()).toEqual({ expected: 2, isMissing: false });
  await crash('b');
  await start('a');
  expect(await known()).toEqual({ expected: 2, isMissing: true });
  await start('c');
  expect(await known()).toEqual({ expected: 2, isMissing: false });
});

it('one that is stopped is not, also when it is one of two that are restarted in turn', async () => {
  const { start, stop, known } = routers('{stop}');
  await start('a');
  await start('b');
  await stop('b');
  expect(await known()).toEqual({ expected: 1, isMissing: false });
  await start('b2');
  await stop('a');
  await start('a2');
  expect(await known()).toEqual({ expected: 2, isMissing: false });
  await stop('a2');
  await stop('b2');
  await start('a3');
  expect(await known()).toEqual({ expected: 1, isMissing: false });
});

it('the restart of the one that is left does not hide the other, which is given up after a week', async () => {
  const { start, stop, crash, age, known } = routers('{left}');
  await start('a');
  await start('b');
  await crash('b');
  await start('a');
  await stop('a');
  await start('a2');
  expect(await known()).toEqual({ expected: 2, isMissing: true });
  await age('since', 8 * 86_400_000);
  await start('a2');
  expect(await known()).toEqual({ expected: 1, isMissing: false });
});

it('one that crashed and is restarted immediately is not counted twice', async () => {
  const { start, beat, crash, known } = routers('{again}');
  await start('a');
  // The crashed one is not yet known to be gone.
  await beat('a2');
  expect(await known()).toEqual({ expected: 1, isMissing: false });
  await crash('a');
  await beat('a2');
  expect(await known()).toEqual({ expected: 1, isMissing: false });
});
