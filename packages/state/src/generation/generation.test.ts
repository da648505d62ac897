import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { redisNow } from '../redis/index.ts';
import {
  beatGeneration,
  endLoss,
  lookAtGeneration,
  type Beat,
  type BeatAnswer,
  type KnownGeneration,
} from './index.ts';

const prefix = '{generation}';
const generation = `${prefix}:generation`;
let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

/** A process with its beats, and the last generation that Redis confirmed. */
class Process {
  readonly name: string;
  known: KnownGeneration | undefined;
  answered = 0;
  number = 0;
  constructor(name: string) {
    this.name = name;
  }
  get beat(): Beat {
    const { name, answered, number, known } = this;
    return { process: name, answered, number, known, about: { host: 'east' } };
  }
  async go(): Promise<BeatAnswer> {
    this.number += 1;
    const answer = await beatGeneration(redis, prefix, this.beat);
    if (answer.verdict !== 'lost') {
      this.known = answer.found;
      this.answered = this.number;
    }
    return answer;
  }
  look(): Promise<BeatAnswer> {
    return lookAtGeneration(redis, prefix, this.beat);
  }
}

/** The data of Redis as they are now; the function brings them back. */
async function snapshot(): Promise<() => Promise<void>> {
  const keys = await redis.keys('*');
  const dumps = await Promise.all(keys.map((key) => redis.dumpBuffer(key)));
  return async () => {
    await redis.flushall();
    for (const [at, key] of keys.entries()) await redis.restore(key, 0, dumps[at]!);
  };
}

it('the first process of an empty Redis creates the generation, and all others find it', async () => {
  const [one, two] = [new Process('one'), new Process('two')];
  const before = await redisNow(redis, prefix);
  const first = await one.go();
  expect(first).toMatchObject({ verdict: 'first', loss: undefined, asks: false });
  expect(first.found?.count).toBe(1);
  expect(first.now).toBeGreaterThanOrEqual(before);
  expect(first.now).toBeLessThanOrEqual(await redisNow(redis, prefix));
  expect(await two.go()).toMatchObject({ verdict: 'good', found: { id: first.found?.id, count: 2 } });
  expect(await one.go()).toMatchObject({ verdict: 'good', found: { id: first.found?.id, count: 3 } });
  const startedAt = Number(await redis.hget(generation, 'startedAt'));
  expect(startedAt).toBeGreaterThanOrEqual(before);
  expect(startedAt).toBeLessThanOrEqual(first.now);
  expect(await redis.get(`${prefix}:process:one`)).toBe('{"host":"east"}');
  const left = await redis.pttl(`${prefix}:process:one`);
  expect(left).toBeGreaterThan(0);
  expect(left).toBeLessThanOrEqual(20_000);
  expect((await redis.zrange(`${prefix}:processes`, '0', '-1')).sort()).toEqual(['one', 'two']);
});

it('a beat without a confirmation is no loss: Redis may have it or not', async () => {
  const one = new Process('one');
  await one.go();
  // Executed, but the answer did not arrive.
  one.number += 1;
  await beatGeneration(redis, prefix, one.beat);
  expect((await one.go()).verdict).toBe('good');
  // Not executed.
  one.number += 1;
  expect((await one.go()).verdict).toBe('good');
});

it('data that do not exist any more are a loss, which every process sees until it is ended', async () => {
  const [one, two] = [new Process('one'), new Process('two')];
  await one.go();
  await two.go();
  await redis.flushall();
  expect(await one.look()).toMatchObject({ verdict: 'lost', loss: undefined });
  const before = await redisNow(redis, prefix);
  const noticed = await one.go();
  expect(noticed).toMatchObject({ verdict: 'lost', found: undefined, loss: { kind: 'gone', by: 'one' } });
  expect(noticed.loss?.at).toBeGreaterThanOrEqual(before);
  expect(await two.go()).toMatchObject({ verdict: 'lost', loss: { kind: 'gone', by: 'one' } });
  expect(await new Process('new').go()).toMatchObject({ verdict: 'lost', loss: { kind: 'gone' } });
  expect(await new Process('new').look()).toMatchObject({ verdict: 'lost', loss: { kind: 'gone' } });

  // Only the process with the lock ends it.
  expect(await endLoss(redis, prefix, 'mine', { studies: 1 })).toBe(false);
  await redis.set(`${prefix}:generation-lock`, 'of another');
  expect(await endLoss(redis, prefix, 'mine', { studies: 1 })).toBe(false);
  await redis.set(`${prefix}:generation-lock`, 'mine');
  await redis.hset(generation, 'asks', '1');
  expect((await one.go()).asks).toBe(true);
  expect(await endLoss(redis, prefix, 'mine', { studies: 1 })).toBe(true);
  expect(await redis.exists(`${prefix}:generation-lock`)).toBe(0);
  expect(await redis.hget(generation, 'report')).toBe('{"studies":1}');
  expect(Number(await redis.hget(generation, 'startedAt'))).toBeGreaterThanOrEqual(before);
  await redis.set(`${prefix}:generation-lock`, 'mine');
  expect(await endLoss(redis, prefix, 'mine', {})).toBe(false);

  // Processes with the lost generation continue with the new one.
  expect((await two.look()).verdict).toBe('good');
  const after = await two.go();
  expect(after).toMatchObject({ verdict: 'recovered', loss: undefined, asks: false });
  expect((await one.go()).verdict).toBe('recovered');
  expect((await two.go()).verdict).toBe('good');
  expect((await new Process('new').go()).verdict).toBe('good');
});

it('earlier data of the same generation are a loss, noticed by the common count or by the own beats', async () => {
  for (const beatsSince of [1, 3]) {
    await redis.flushall();
    const one = new Process('one');
    await one.go();
    const restore = await snapshot();
    for (let beat = 0; beat < beatsSince; beat += 1) await one.go();
    await restore();
    expect((await one.look()).verdict).toBe('lost');
    expect(await one.go()).toMatchObject({ verdict: 'lost', loss: { kind: 'older', by: 'one' } });
  }
  // The common count is as high as before, by the beats of another process.
  await redis.flushall();
  const [one, two] = [new Process('one'), new Process('two')];
  await one.go();
  const restore = await snapshot();
  await one.go();
  await restore();
  for (let beat = 0; beat < 3; beat += 1) await two.go();
  expect((await one.look()).verdict).toBe('lost');
  expect(await one.go()).toMatchObject({ verdict: 'lost', loss: { kind: 'older', by: 'one' } });
});

it('data in which this process has beaten later than it has are a loss: they are of another Redis', async () => {
  const one = new Process('one');
  await one.go();
  await redis.hset(`${prefix}:generation-beats`, 'one', 99);
  expect(await one.go()).toMatchObject({ verdict: 'lost', loss: { kind: 'older' } });
});

it('data of another generation are a loss, unless it was recovered from the generation of the process', async () => {
  const one = new Process('one');
  await one.go();
  await redis.flushall();
  await new Process('other').go();
  expect((await one.look()).verdict).toBe('lost');
  expect(await one.go()).toMatchObject({ verdict: 'lost', loss: { kind: 'another', by: 'one' } });
  await redis.set(`${prefix}:generation-lock`, 'mine');
  expect(await endLoss(redis, prefix, 'mine', {})).toBe(true);
  expect((await one.go()).verdict).toBe('recovered');
});

it('a process without a known generation only reads it', async () => {
  const absent = await lookAtGeneration(redis, prefix);
  expect(absent).toMatchObject({ verdict: 'good', found: undefined, loss: undefined, asks: false });
  expect(await redis.dbsize()).toBe(0);
  const one = new Process('one');
  await one.go();
  const found = await lookAtGeneration(redis, prefix);
  expect(found).toMatchObject({ verdict: 'good', found: one.known });
  expect((await one.look()).verdict).toBe('good');
  await redis.hset(generation, 'asks', '1');
  expect((await one.look()).asks).toBe(true);
  // It has beaten, and Redis has not confirmed it yet.
  const number = await redis.hget(generation, 'count');
  await one.look();
  expect(await redis.hget(generation, 'count')).toBe(number);
});

it('processes that ended more than a week ago are removed with their beats, now and then', async () => {
  const one = new Process('one');
  await one.go();
  const weekMs = 7 * 86_400_000;
  const now = await redisNow(redis, prefix);
  await redis.zadd(`${prefix}:processes`, now - weekMs - 60_000, 'old', now - weekMs + 60_000, 'young');
  await redis.hset(`${prefix}:generation-beats`, { old: 1, young: 1 });
  await redis.hset(generation, 'count', 498);
  await one.go();
  expect(await redis.hexists(`${prefix}:generation-beats`, 'old')).toBe(1);
  await one.go();
  expect((await redis.hkeys(`${prefix}:generation-beats`)).sort()).toEqual(['one', 'young']);
  expect((await redis.zrange(`${prefix}:processes`, '0', '-1')).sort()).toEqual(['one', 'young']);
});
