import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Records } from '../records/index.ts';
import { deliveryStates } from '../records/record-types.ts';
import { currentFormat, migrations, openFormat, redisKeys } from './index.ts';
import { shortenRecords } from './shorten-records.ts';

const prefix = '{shorten}';
const keys = redisKeys(prefix);
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

const event = { at: 1, kind: 'started', attempt: 1, text: 'attempt 1 started' };

/** A study with one delivery as format 5 has them. */
async function writeFormer(index: number, state: string, events = [event]) {
  const common = {
    source: 'main',
    orthancStudyId: `o-${index}`,
    epoch: '1',
    studyInstanceUid: `1.2.${index}`,
    contentHash: 'h',
    instanceCount: 3,
    modalities: ['CT'],
    rules: ['r'],
    studyTaskId: `s-${index}`,
    routedAt: 1_750_000_000_000 + index,
  };
  const study = { ...common, targets: ['pacs'], search: { key: 'k', hashes: ['a', 'b'] } };
  const data = { ...common, priority: 'normal', deliveryId: `d-${index}`, target: 'pacs', nonce: 'n' };
  const pipeline = redis.pipeline();
  pipeline.set(keys.study('main', `o-${index}`), JSON.stringify(study));
  pipeline.hset(keys.delivery(`d-${index}`), { data: JSON.stringify(data), state, updatedAt: 5 });
  pipeline.rpush(keys.events(`d-${index}`), ...events.map((one) => JSON.stringify(one)));
  pipeline.zadd(keys.index('studies'), 5, `main o-${index}`);
  pipeline.zadd(keys.index(`state:${state}`), 5, `d-${index}`);
  await pipeline.exec();
  return { study, data };
}

const contents = async (): Promise<Record<string, unknown>> => {
  const names = (await redis.keys('*')).filter((name) => /:(study|delivery|events):/.test(name)).sort();
  const content = (name: string): Promise<unknown> => {
    if (name.includes(':study:')) return redis.get(name);
    return name.includes(':events:') ? redis.lrange(name, 0, -1) : redis.hgetall(name);
  };
  return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await content(name)])));
};

it('6: all records are smaller and read as before, also if it was interrupted or runs again', async () => {
  const written: Awaited<ReturnType<typeof writeFormer>>[] = [];
  for (let index = 0; index < 500; index += 1)
    written.push(await writeFormer(index, deliveryStates[index % deliveryStates.length]!));
  const records = new Records(redis, prefix);
  const readAll = () =>
    Promise.all(
      written.map(async ({ study, data }) => [
        await records.study(study),
        await records.delivery(data.deliveryId),
        await records.events(data.deliveryId),
      ]),
    );
  const before = await readAll();
  expect(before[3]).toMatchObject([written[3]!.study, { ...written[3]!.data, state: 'partial' }, [event]]);
  await redis.set(keys.format, 5);
  await openFormat(redis, prefix, { migrations: migrations.filter(({ to }) => to <= 6) });
  expect(await redis.get(keys.format)).toBe('6');
  expect(currentFormat).toBeGreaterThanOrEqual(6);
  expect(await readAll()).toEqual(before);
  for (const [index, { data }] of written.entries()) {
    const isOpen = index % deliveryStates.length < 2;
    expect(await redis.get(keys.study('main', data.orthancStudyId))).toMatch(/^\[/);
    expect(await redis.hget(keys.delivery(data.deliveryId), 'data')).toMatch(/^\[/);
    expect(await redis.exists(keys.events(data.deliveryId))).toBe(isOpen ? 1 : 0);
  }
  const after = await contents();
  await shortenRecords(redis, prefix);
  expect(await contents()).toEqual(after);
});

it('6: damaged and lost records stay as they are, and long timelines in their lists', async () => {
  const many = Array.from({ length: 30 }, (_, at) => ({ ...event, at }));
  await writeFormer(1, 'delivered', many);
  await writeFormer(2, 'delivered');
  await redis.hset(keys.delivery('d-2'), 'data', '{"no JSON');
  await redis.set(keys.study('main', 'o-2'), '{"no JSON');
  // JSON, but not of a record.
  const odd = '{"search":{"key":"k"}}';
  await writeFormer(4, 'delivered');
  await redis.set(keys.study('main', 'o-4'), odd);
  await writeFormer(3, 'failed');
  await redis.del(keys.delivery('d-3'), keys.study('main', 'o-3'));
  await redis.set(keys.format, 5);
  const damaged: string[] = [];
  const steps = migrations.filter(({ to }) => to <= 6);
  await openFormat(redis, prefix, { migrations: steps, onDamaged: (key) => damaged.push(key) });
  expect(damaged.toSorted()).toEqual([keys.delivery('d-2'), keys.study('main', 'o-2'), keys.study('main', 'o-4')]);
  expect(await redis.get(keys.study('main', 'o-4'))).toBe(odd);
  expect(await new Records(redis, prefix).events('d-1')).toEqual(many);
  expect(await redis.llen(keys.events('d-1'))).toBe(30);
  expect(await redis.hget(keys.delivery('d-2'), 'data')).toBe('{"no JSON');
  expect(await redis.get(keys.study('main', 'o-2'))).toBe('{"no JSON');
  expect(await redis.exists(keys.delivery('d-3'), keys.study('main', 'o-3'))).toBe(0);
  expect(await redis.llen(keys.events('d-3'))).toBe(1);
});
