import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import * as fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { SharedUids } from './shared-uids.ts';

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
  it('are named to the one that comes later, however the UIDs end', async () => {
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

  it('are named to who only looks, which adds nothing', async () => {
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

  it('of two that are added at the same time at least one is told', async () => {
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

  it('are all that do, in whatever order they come and go', async () => {
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

  it('take some bytes each where UIDs are numbered, and fail by name without Redis', async () => {
    for (let index = 0; index < 50; index += 1)
      await shared.add(study('x'.repeat(44) + index), series(`1.2.${index}`, 300));
    let bytes = 0;
    for (const key of await redis.keys('*uids:*'))
      for (const [field, value] of Object.entries(await redis.hgetallBuffer(key))) bytes += field.length + value.length;
    expect(bytes / 50).toBeLessThan(4 * 16);
    const lone = new Redis(server.url, { maxRetriesPerRequest: 0, retryStrategy: () => null });
    lone.disconnect();
    await expect(new SharedUids(lone, '{x}').add(study('a'), ['1.2'])).rejects.toMatchObject({
      code: 'ledger-unavailable',
    });
  });
});
