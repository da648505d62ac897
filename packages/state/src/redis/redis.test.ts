import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { defineScript, msOfTime, redisNow, withDeadline } from './index.ts';

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
beforeEach(() => redis.script('FLUSH'));
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

async function calls(command: string): Promise<number> {
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(await redis.info('commandstats'))?.[1] ?? 0);
}

it('a script is sent as text only if it is not in the script cache, and is executed once each time', async () => {
  const script = defineScript(`redis.call('INCR', KEYS[1]) return { KEYS[1], ARGV[1], ARGV[2] }`);
  const before = { eval: await calls('eval'), evalsha: await calls('evalsha') };
  for (let time = 0; time < 3; time += 1) {
    expect(await script.run(redis, ['{x}:key'], ['one', 2])).toEqual(['{x}:key', 'one', '2']);
  }
  await redis.script('FLUSH');
  const bytes = Buffer.from([0, 255, 128]);
  expect(await script.runBuffer(redis, ['{x}:key'], [bytes, ''])).toEqual([
    Buffer.from('{x}:key'),
    bytes,
    Buffer.alloc(0),
  ]);
  expect(await redis.get('{x}:key')).toBe('4');
  expect(await calls('eval')).toBe(before.eval + 2);
  // Those that failed are counted, too.
  expect(await calls('evalsha')).toBe(before.evalsha + 4);
});

it('an error of a script is passed on, and the script is not executed again', async () => {
  const script = defineScript(`redis.call('INCR', KEYS[1]) return redis.error_reply('OTHER it is wrong')`);
  await redis.del('{x}:errors');
  await expect(script.run(redis, ['{x}:errors'], [])).rejects.toThrow('it is wrong');
  await expect(script.run(redis, ['{x}:errors'], [])).rejects.toThrow('it is wrong');
  expect(await redis.get('{x}:errors')).toBe('2');
});

it('the time is that of Redis, in milliseconds', async () => {
  expect(msOfTime(['1700000000', '123999'])).toBe(1_700_000_000_123);
  expect(msOfTime([1_700_000_000, 999])).toBe(1_700_000_000_000);
  const [first, now, last] = [await redis.time(), await redisNow(redis, '{x}'), await redis.time()];
  expect(now).toBeGreaterThanOrEqual(msOfTime(first));
  expect(now).toBeLessThanOrEqual(msOfTime(last));
});

it('an operation without a response in time is rejected with its limit, and its later failure is not unhandled', async () => {
  expect(await withDeadline(Promise.resolve(7), 60_000)).toBe(7);
  await expect(withDeadline(Promise.reject(new Error('refused')), 60_000)).rejects.toThrow('refused');
  const { promise, reject } = Promise.withResolvers<never>();
  await expect(withDeadline(promise, 20)).rejects.toThrow('no answer from Redis within 20 ms');
  reject(new Error('too late'));
  await expect(promise).rejects.toThrow('too late');
});
