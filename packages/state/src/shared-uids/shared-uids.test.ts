import { createHash, randomBytes } from 'node:crypto';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SharedUids } from './shared-uids.ts';
import { UidClaims } from './uid-claims.ts';
import { blocksOf } from './uid-block.ts';

let server: RedisServer;
let redis: Redis;
let shared: SharedUids;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  shared = new SharedUids(redis, '{dicom-dispatch}');
});
beforeEach(() => redis.flushall());
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const study = (name: string, source = 'main') => ({ source, orthancStudyId: name });
const series = (root: string, count: number, from = 1): string[] =>
  Array.from({ length: count }, (_, index) => `${root}.${from + index}`);

describe('studies that may share a SOP Instance UID', () => {
  it('are returned to the later one, for any form of the UIDs', async () => {
    const uids = [
      '1.2.3',
      '1.2.33',
      '1.2.333',
      '1.2.3.4',
      '2.25.329800735698586629295641978511506172918',
      '1',
      'odd UID',
    ];
    for (const [index, uid] of uids.entries()) {
      expect(await shared.add(study(`a${index}`), [uid]), uid).toEqual([]);
      expect(await shared.add(study(`b${index}`, 'other'), [uid]), uid).toEqual([study(`a${index}`)]);
      expect(await shared.add(study(`a${index}`), [uid]), uid).toEqual([study(`b${index}`, 'other')]);
    }
  });

  it('are returned to a caller that only checks, which adds nothing', async () => {
    await shared.add(study('a'), series('1.2', 150));
    const before = await redis.dbsize();
    expect(await shared.find(study('b'), ['1.2.120', '1.3.1'])).toEqual([study('a')]);
    expect(await shared.find(study('a'), ['1.2.120'])).toEqual([]);
    expect(await redis.dbsize()).toBe(before);
    expect(await shared.add(study('a'), ['1.2.120'])).toEqual([]);
  });

  it('are not those whose instances are only numbered through', async () => {
    for (let index = 0; index < 30; index += 1) {
      expect(await shared.add(study(`s${index}`), series('1.2', 7, index * 7))).toEqual([]);
    }
    expect(await shared.add(study('late'), ['1.2.10'])).toEqual([study('s1')]);
  });

  it('of two added at the same time at least one gets the other', async () => {
    for (let round = 0; round < 20; round += 1) {
      const uids = series(`1.2.${round}`, 900);
      const answers = await Promise.all(['a', 'b'].map((name) => shared.add(study(`${name}${round}`), uids)));
      expect(answers.flat().length).toBeGreaterThan(0);
    }
  });

  it('are forgotten with nothing left', async () => {
    await shared.add(study('a'), series('1.2', 450));
    const before = await redis.keys('*');
    await shared.add(study('b'), series('1.2', 450));
    await shared.remove(study('b'), series('1.2', 450));
    expect((await redis.keys('*')).sort()).toEqual(before.sort());
    expect(await shared.add(study('c'), ['1.2.7'])).toEqual([study('a')]);
    for (const name of ['a', 'c']) await shared.remove(study(name), series('1.2', 450));
    expect(await redis.keys('*')).toEqual([]);
  });

  it('are found in long buckets too, and the place of what was forgotten is used again', async () => {
    // A bucket of thousands of entries, as of some hundred million UIDs.
    const uid = '1.2.3.4';
    const [block] = blocksOf([uid]);
    const key = `{dicom-dispatch}:uids:${block!.bucket}`;
    const entry = (index: number): Buffer => {
      const bytes = createHash('sha256').update(`${index}`).digest().subarray(0, 8);
      bytes.set(block!.hash.map((byte) => byte ^ 1));
      bytes.set([5, 5], 6);
      return bytes;
    };
    const others = Buffer.concat(Array.from({ length: 4_000 }, (_, index) => entry(index)));
    await redis.set(key, others);
    expect(await shared.add(study('a'), [uid])).toEqual([]);
    expect(await shared.add(study('b'), [uid])).toEqual([study('a')]);
    expect(await redis.strlen(key)).toBe(4_002 * 8);
    await shared.remove(study('a'), [uid]);
    expect(await shared.find(study('b'), [uid])).toEqual([]);
    expect(await shared.add(study('c'), [uid])).toEqual([study('b')]);
    expect(await redis.strlen(key)).toBe(4_002 * 8);
    expect((await redis.getBuffer(key))!.subarray(0, others.length).equals(others)).toBe(true);
    // A full one does not grow.
    await redis.set(key, Buffer.concat(Array.from({ length: 8_192 }, (_, index) => entry(index))));
    expect(await shared.add(study('a'), [uid])).toEqual([]);
    expect(await shared.add(study('b'), [uid])).toEqual([study('a')]);
    expect(await redis.strlen(key)).toBe(65_536);
  });

  it('of one UID that every study has, the newest hundred are kept', async () => {
    for (let index = 0; index < 120; index += 1) await shared.add(study(`s${index}`), ['1.2.3']);
    const [key = ''] = await redis.keys('*:uids:*');
    expect(await redis.strlen(key)).toBe(100 * 8);
    const found = await shared.find(study('new'), ['1.2.3']);
    expect(found.length).toBe(100);
    expect(found).toContainEqual(study('s119'));
  });

  it('are all that share them, in any order of addition and removal', async () => {
    const uid = fc.tuple(fc.constantFrom('1.2.', '1.2.1', '9.'), fc.nat(400)).map(([head, tail]) => `${head}${tail}`);
    const step = fc.record({
      who: fc.nat(6),
      uids: fc.uniqueArray(uid, { minLength: 1, maxLength: 6 }),
      goes: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        await redis.flushall();
        const has = new Map<string, Set<string>>();
        for (const { who, uids, goes } of steps) {
          const name = `s${who}`;
          const own = has.get(name) ?? new Set();
          if (goes) {
            await shared.remove(study(name), own);
            has.delete(name);
            continue;
          }
          const found = (await shared.add(study(name), uids)).map(({ orthancStudyId }) => orthancStudyId);
          const expected = [...has].flatMap(([other, theirs]) =>
            other !== name && uids.some((one) => theirs.has(one)) ? [other] : [],
          );
          expect(found).toEqual(expect.arrayContaining(expected));
          has.set(name, new Set([...own, ...uids]));
        }
        for (const [name, uids] of has) await shared.remove(study(name), uids);
        expect(await redis.keys('*')).toEqual([]);
      }),
      { numRuns: 30 },
    );
  });

  it('take their entries and no more, numbered or at random, and fail by name without Redis', async () => {
    const bytes = async (): Promise<number> => {
      const keys = await redis.keys('*:uids:*');
      return (await Promise.all(keys.map((key) => redis.strlen(key)))).reduce((sum, length) => sum + length, 0);
    };
    for (let index = 0; index < 50; index += 1) await shared.add(study(`n${index}`), series(`1.2.${index}`, 300));
    // 300 UIDs that are numbered from 1 have four blocks.
    expect((await bytes()) / 50).toBe(4 * 8);
    await redis.flushall();
    const random = Array.from({ length: 2_000 }, () => `2.25.${BigInt(`0x${randomBytes(16).toString('hex')}`)}`);
    await shared.add(study('r'), random);
    await shared.add(study('r'), random);
    expect(await bytes()).toBeLessThanOrEqual(2_000 * 8);
    await shared.remove(study('r'), random);
    expect(await redis.keys('*')).toEqual([]);
    const lone = new Redis(server.url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
    lone.disconnect();
    await expect(new SharedUids(lone, '{x}').add(study('a'), ['1.2'])).rejects.toMatchObject({
      code: 'ledger-unavailable',
    });
  });
});

describe('SOP Instance UIDs that are on their way', () => {
  const prefix = '{dicom-dispatch}';
  const lock = (id: string) => ({ lockKey: `${prefix}:target-pacs:${id}:lock`, token: `token of ${id}` });
  async function begin(id: string): Promise<void> {
    const { lockKey, token } = lock(id);
    await redis.set(lockKey, token);
    await redis.hset(`${prefix}:delivery:${id}`, { state: 'active', lock: lockKey, token });
  }
  let claims: UidClaims;
  beforeEach(async () => {
    claims = new UidClaims(redis, prefix);
    for (const id of ['d-a', 'd-b']) await begin(id);
  });
  const take = (id: string, uids: readonly string[], place = 'pacs') => claims.take(place, id, new Set(uids), lock(id));

  it('belong to one delivery, all of an attempt or none, until it releases them', async () => {
    expect(await take('d-a', ['1', '2'])).toEqual({ kind: 'taken' });
    expect(await take('d-a', ['2', '3'])).toEqual({ kind: 'taken' });
    expect(await take('d-b', ['4', '3', '5'])).toEqual({ kind: 'held', by: 'd-a', sopInstanceUid: '3' });
    expect(await take('d-b', ['1'], 'elsewhere')).toEqual({ kind: 'taken' });
    expect(await take('d-a', ['4', '5'])).toEqual({ kind: 'taken' });
    await claims.release('pacs', 'd-a', new Set(['1', '2', '3', '4', '5']), lock('d-a'));
    expect(await take('d-b', ['1', '2', '3', '4', '5'])).toEqual({ kind: 'taken' });
    await claims.release('pacs', 'd-b', new Set(['1', '2', '3', '4', '5']), lock('d-b'));
    expect(await redis.exists(`${prefix}:uid-claims:pacs`)).toBe(0);
  });

  it('of many that want them at the same moment one gets them', async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `d-${index}`);
    for (const id of ids) await begin(id);
    const answers = await Promise.all(ids.map((id, index) => take(id, ['7', `8.${index}`])));
    expect(answers.filter(({ kind }) => kind === 'taken').length).toBe(1);
  });

  it.each([
    ['its lock has ended', () => redis.del(lock('d-a').lockKey)],
    ['another worker has its job', () => redis.set(lock('d-a').lockKey, 'another')],
    ['the delivery has ended', () => redis.hset(`${prefix}:delivery:d-a`, 'state', 'delivered')],
    ['the delivery is forgotten', () => redis.del(`${prefix}:delivery:d-a`)],
  ])('are named when they were left behind: %s', async (_, end) => {
    await take('d-a', ['1', '2']);
    await end();
    // Until their confirmed instances were looked up, even after interruptions.
    for (const _ of [1, 2]) expect(await take('d-b', ['3', '2'])).toEqual({ kind: 'left', by: ['d-a'] });
    const over = ['d-z', 'd-a'];
    expect(await claims.take('pacs', 'd-b', new Set(['3', '2']), lock('d-b'), over)).toEqual({ kind: 'taken' });
    expect(await take('d-b', ['2', '3'])).toEqual({ kind: 'taken' });
  });

  it('are not taken over from a delivery that sends again', async () => {
    await take('d-a', ['1', '2']);
    expect(await claims.take('pacs', 'd-b', new Set(['3', '2']), lock('d-b'), ['d-a'])).toEqual({
      kind: 'held',
      by: 'd-a',
      sopInstanceUid: '2',
    });
  });

  it('are neither taken nor released by a worker that has lost its job', async () => {
    await take('d-a', ['1']);
    await redis.set(lock('d-a').lockKey, 'another');
    await expect(take('d-a', ['2'])).rejects.toMatchObject({ code: 'lock-lost' });
    await claims.release('pacs', 'd-a', new Set(['1']), lock('d-a'));
    expect(await redis.hlen(`${prefix}:uid-claims:pacs`)).toBe(1);
    const lone = new Redis(server.url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
    lone.disconnect();
    await expect(new UidClaims(lone, prefix).take('pacs', 'd-a', new Set(['1']), lock('d-a'))).rejects.toMatchObject({
      code: 'ledger-unavailable',
    });
  });
});
