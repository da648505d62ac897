import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { distributeLookups } from '../keys/distribute-lookups.ts';
import { migrations, openFormat, redisKeys } from '../keys/index.ts';
import {
  addPlace,
  hashPlace,
  lookupPlaces,
  membersOfHash,
  membersOfUid,
  uidBuckets,
  uidPlace,
  unlistedStudies,
} from './lookup.ts';

const prefix = '{lookup}';
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

const members = [
  'main 01cc4246-e21d514d-d773d3ca-bde3a4fb-56c52c2a',
  // Bytes of every kind: zero, space, line feed, beyond ASCII.
  'main 00200a0d-00000000-ffffffff-7f800102-20002000',
  'other-source_2 00200a0d-00000000-ffffffff-7f800102-20002000',
  // Not as Orthanc writes it: stored as text.
  'main 01CC4246-e21d514d-d773d3ca-bde3a4fb-56c52c2a',
  'main 01cc4246-e21d514d-d773d3ca-bde3a4fb-56c52c2a-',
  'main 01cc424-6e21d514d-d773d3ca-bde3a4fb-56c52c2a',
  'main o-1.2.3',
];
const uids = ['1.2.3', '1.2.840.113619.2.55.3.604688119.969.1268071029', '2.25.1', ''];
const hashes = ['X3wf8ypIQzaRS2ZpcVVoCw', '-2stdj9m8eNhdK9T0zeizg', '__-_-', 'AB', 'hash-1', 'a/+'];

async function enter(): Promise<void> {
  const pipeline = redis.pipeline();
  for (const member of members) {
    for (const uid of uids) addPlace(pipeline, uidPlace(prefix, uid, member));
    for (const hash of hashes) addPlace(pipeline, hashPlace(prefix, hash, member));
  }
  await pipeline.exec();
}

it('each study is found by its UID and its hashes, and by no others', async () => {
  await enter();
  for (const uid of uids) expect(await membersOfUid(redis, prefix, uid), uid).toEqual(members.toSorted());
  for (const hash of hashes) expect(await membersOfHash(redis, prefix, hash), hash).toEqual(members.toSorted());
  expect(await membersOfUid(redis, prefix, '1.2.4')).toEqual([]);
  expect(await membersOfHash(redis, prefix, 'X3wg8ypIQzaRS2ZpcVVoCw')).toEqual([]);
});

it('Lua has the same places, and reads the same studies', async () => {
  const script = `local prefix = ARGV[1]
    ${lookupPlaces}
    local key, field = uid_place(ARGV[2], ARGV[4])
    local other, second = hash_place(ARGV[3], ARGV[4])
    return { key, field, other, second, member_of_field(field) }`;
  for (const member of members) {
    for (const uid of uids) {
      for (const hash of hashes) {
        const [byUid, byHash] = [uidPlace(prefix, uid, member), hashPlace(prefix, hash, member)];
        const places = (await redis.callBuffer('EVAL', script, 0, prefix, uid, hash, member)) as Buffer[];
        expect(places.map((one) => one.toString('latin1'))).toEqual([
          byUid.key,
          byUid.field.toString('latin1'),
          byHash.key,
          byHash.field.toString('latin1'),
          member,
        ]);
      }
    }
  }
});

it('studies are distributed over all buckets, and an entry takes 29 bytes', async () => {
  const random = Array.from({ length: 3_000 }, (_, index) => `1.2.${index}.${index * 7}`);
  const places = random.map((uid) => uidPlace(prefix, uid, members[0] ?? ''));
  const used = new Set(places.map(({ key }) => key));
  expect(used.size).toBeGreaterThan(1_900);
  expect(places.every(({ key }) => /:study-uids:[\da-f]{3}$/.test(key))).toBe(true);
  expect(new Set(places.map(({ field }) => field.length))).toEqual(new Set([29]));
});

it('the walk returns each study that the index of studies lacks once, also in small parts', async () => {
  await enter();
  await redis.zadd(keys.index('studies'), 1, members[1] ?? '', 1, 'main unknown');
  for (const limit of [1, 7, 10_000]) {
    const found: string[] = [];
    let from = 0;
    while (from < uidBuckets) {
      const { unlisted, next } = await unlistedStudies(redis, prefix, from, limit);
      for (const { member, key, field } of unlisted) {
        expect(await redis.hexists(key, field)).toBe(1);
        found.push(member);
      }
      expect(next).toBeGreaterThan(from);
      from = next;
    }
    const expected = members.filter((_, index) => index !== 1).flatMap((member) => uids.map(() => member));
    expect(found.toSorted()).toEqual(expected.toSorted());
  }
  expect(await unlistedStudies(redis, prefix, 500_000, 10)).toEqual({ unlisted: [], next: 500_000 });
});

it('a search reads a large bucket in parts, and ends at its limit', async () => {
  const pipeline = redis.pipeline();
  const own = Array.from({ length: 300 }, (_, index) => `main o-${index}`);
  for (const member of own) addPlace(pipeline, hashPlace(prefix, 'AAbcdefg', member));
  const others = Array.from({ length: 5_000 }, (_, index) => `main p-${index}`);
  for (const member of others) addPlace(pipeline, hashPlace(prefix, 'AAbcXefg', member));
  await pipeline.exec();
  expect(await membersOfHash(redis, prefix, 'AAbcdefg')).toEqual(own.toSorted());
  await redis.config('RESETSTAT');
  const some = await membersOfHash(redis, prefix, 'AAbcdefg', 200);
  expect(new Set(some).size).toBe(200);
  expect(own).toEqual(expect.arrayContaining(some));
  // No command reads all of it.
  expect(await redis.info('commandstats')).toMatch(/cmdstat_hscan:calls=[2-9],/);
  expect(await redis.info('commandstats')).not.toMatch(/cmdstat_(hkeys|hgetall):/);
});

it('characters of a value are never a pattern', async () => {
  const pipeline = redis.pipeline();
  for (const hash of ['AA****', 'AA????', 'AA[a]b', String.raw`AA\***`, 'AAabcd']) {
    addPlace(pipeline, hashPlace(prefix, hash, `main ${hash}`));
  }
  await pipeline.exec();
  for (const hash of ['AA****', 'AA????', 'AA[a]b', String.raw`AA\***`, 'AAabcd']) {
    expect(await membersOfHash(redis, prefix, hash), hash).toEqual([`main ${hash}`]);
  }
});

it('no call of the walk compares more than about 500 entries', async () => {
  const pipeline = redis.pipeline();
  const many = Array.from({ length: 3_000 }, (_, index) => `main o-${index}`);
  for (const member of many) addPlace(pipeline, uidPlace(prefix, `1.2.${member}`, member));
  await pipeline.exec();
  await redis.config('RESETSTAT');
  const { unlisted, next } = await unlistedStudies(redis, prefix, 0, 10_000);
  expect(unlisted.map(({ member }) => member).toSorted()).toEqual(many.toSorted());
  expect(next).toBe(uidBuckets);
  const calls = /cmdstat_evalsha:calls=(\d+),/.exec(await redis.info('commandstats'))?.[1];
  // 3,000 entries: 6 calls of 500 that may pass the limit by one bucket, and the call that ends the walk.
  expect(Number(calls)).toBeGreaterThanOrEqual(6);
  expect(Number(calls)).toBeLessThanOrEqual(7);
});

it('7: the entries of the former indexes are moved, also if it was interrupted or runs again', async () => {
  const many = Array.from({ length: 900 }, (_, index) => `main o-${index}`);
  const add = (name: string, values: readonly string[]) =>
    redis.zadd(
      keys.index(name),
      ...values.flatMap((value) => [...members, ...many].flatMap((one) => [0, `${value} ${one}`])),
    );
  const common = uids.filter((uid) => uid !== '');
  await add('study-uids', common);
  await add('study-hashes', hashes);
  // As if an earlier run had been interrupted.
  const pipeline = redis.pipeline();
  addPlace(pipeline, uidPlace(prefix, common[0] ?? '', members[0] ?? ''));
  pipeline.zrem(keys.index('study-uids'), `${common[0]} ${members[0]}`);
  await pipeline.exec();
  await redis.set(keys.format, 6);
  await openFormat(redis, prefix, { migrations: migrations.filter(({ to }) => to <= 7) });
  await distributeLookups(redis, prefix);
  const all = [...members, ...many].toSorted();
  for (const uid of common) expect(await membersOfUid(redis, prefix, uid), uid).toEqual(all);
  for (const hash of hashes) expect(await membersOfHash(redis, prefix, hash), hash).toEqual(all);
  expect(await redis.exists(keys.index('study-uids'), keys.index('study-hashes'))).toBe(0);
});
