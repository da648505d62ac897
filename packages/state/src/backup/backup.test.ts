import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLedger } from '../ledger/index.ts';
import { act } from '../records/delivery-acts.ts';
import { Records } from '../records/records.ts';
import { redisNow } from '../redis/index.ts';
import { readKeys, readStudies, scanNames, writeKeys, writeStudies, type KeyEntry, type StudyEntry } from './index.ts';

const prefix = '{backup}';
let server: RedisServer;
let redis: Redis;
let now: number;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
beforeEach(async () => {
  await redis.flushall();
  now = await redisNow(redis, prefix);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

async function all<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const found: T[] = [];
  for await (const batch of batches) found.push(...batch);
  return found;
}

/** Bytes that are no UTF-8. */
const binary = Buffer.from([0, 255, 128, 10, 195, 40]);

describe('keys', () => {
  it('of every type return with their values and the time at which they expire', async () => {
    await redis.set(`${prefix}:text`, binary);
    await redis.hset(`${prefix}:hash`, { one: '1', two: binary });
    await redis.rpush(`${prefix}:list`, 'b', 'a', binary, 'a');
    await redis.sadd(`${prefix}:set`, 'x', binary);
    await redis.zadd(`${prefix}:sorted`, 1.5, 'low', 1_700_000_000_123, binary, '-inf', 'lowest');
    await redis.xadd(`${prefix}:stream`, '1-1', 'field', 'value', 'other', binary);
    await redis.xadd(`${prefix}:stream`, '2-1', 'only', 'one');
    await redis.set(`${prefix}:short`, 'v', 'PX', 600_000);
    const names = ['text', 'hash', 'list', 'set', 'sorted', 'stream', 'short', 'absent'];
    const entries = await readKeys(redis, prefix, names, now);
    expect(entries.map(({ name }) => name)).toEqual(names.slice(0, -1));
    expect(entries.map(({ type }) => type)).toEqual(['string', 'hash', 'list', 'set', 'zset', 'stream', 'string']);
    const times = entries.map(({ expiresAt }) => expiresAt);
    expect(times.slice(0, -1)).toEqual(Array(6).fill(null));
    expect(times.at(-1)).toBeGreaterThan(now + 500_000);
    expect(times.at(-1)).toBeLessThanOrEqual(now + 600_000 + 60_000);
    expect(entries.find(({ name }) => name === 'stream')?.values.slice(0, 6)).toEqual([
      '1-1',
      '4',
      'field',
      'value',
      'other',
      binary.toString('latin1'),
    ]);

    const dumps = await Promise.all(names.slice(0, -1).map((name) => contentOf(`${prefix}:${name}`)));
    await redis.flushall();
    // What is there is replaced.
    await redis.rpush(`${prefix}:list`, 'former');
    await redis.set(`${prefix}:hash`, 'former');
    await writeKeys(redis, prefix, entries, now);
    expect(await Promise.all(names.slice(0, -1).map((name) => contentOf(`${prefix}:${name}`)))).toEqual(dumps);
    expect(await redis.dbsize()).toBe(7);
    expect(await redis.pexpiretime(`${prefix}:short`)).toBe(times.at(-1));
    expect(await redis.pttl(`${prefix}:text`)).toBe(-1);
  });

  async function contentOf(key: string): Promise<unknown> {
    switch (await redis.type(key)) {
      case 'string':
        return redis.getBuffer(key);
      case 'hash':
        return redis.hgetallBuffer(key);
      case 'list':
        return redis.lrangeBuffer(key, 0, -1);
      case 'set':
        return (await redis.smembersBuffer(key)).map((one) => one.toString('hex')).sort();
      case 'zset':
        return redis.zrangeBuffer(key, '0', '-1', 'WITHSCORES');
      default:
        return redis.xrangeBuffer(key, '-', '+');
    }
  }

  it('with more values than one command takes return completely, in order', async () => {
    const many = Array.from({ length: 2_001 }, (_, index) => `v${index}`);
    await redis.rpush(`${prefix}:list`, ...many);
    await redis.hset(`${prefix}:hash`, Object.fromEntries(many.map((one) => [one, `of ${one}`])));
    await redis.zadd(`${prefix}:sorted`, ...many.flatMap((one, index) => [index, one]));
    const entries = await readKeys(redis, prefix, ['list', 'hash', 'sorted'], now);
    await redis.flushall();
    await writeKeys(redis, prefix, entries, now);
    expect(await redis.lrange(`${prefix}:list`, 0, -1)).toEqual(many);
    expect(await redis.hlen(`${prefix}:hash`)).toBe(2_001);
    expect(await redis.hget(`${prefix}:hash`, 'v2000')).toBe('of v2000');
    expect(await redis.zrange(`${prefix}:sorted`, '0', '-1')).toEqual(many);
  });

  it('that have expired since are not restored', async () => {
    const entry = (name: string, expiresAt: number | null): KeyEntry => ({
      name,
      type: 'string',
      expiresAt,
      values: ['v'],
    });
    await redis.set(`${prefix}:past`, 'stays');
    await writeKeys(redis, prefix, [entry('past', now - 1), entry('present', now), entry('later', now + 60_000)], now);
    expect((await redis.keys('*')).sort()).toEqual([`${prefix}:later`, `${prefix}:past`]);
    expect(await redis.get(`${prefix}:past`)).toBe('stays');
  });

  it('of open study tasks are in the index of tasks again, those of completed ones are not', async () => {
    const task = (name: string, ...values: string[]): KeyEntry => ({ name, type: 'hash', expiresAt: null, values });
    await writeKeys(
      redis,
      prefix,
      [
        task('task:s-1', 'data', '{}', 'state', 'due'),
        task('task:s-2', 'data', '{}', 'state', 'done'),
        task('task:s-3', 'data', '{}', 'state', 'waiting'),
        task('tasks-other', 'state', 'due'),
      ],
      now,
    );
    expect(await redis.zrange(`${prefix}:index:tasks`, '0', '-1', 'WITHSCORES')).toEqual([
      's-1',
      String(now),
      's-3',
      String(now),
    ]);
  });

  it('are listed by their prefix alone, also if it contains patterns of Redis', async () => {
    for (const own of ['{a*b}', '{a[b]}', '{a?b}', String.raw`{a\b}`]) {
      await redis.flushall();
      const names = Array.from({ length: 50 }, (_, index) => `name:${index}`);
      for (const name of names) await redis.set(`${own}:${name}`, '1');
      for (const other of ['{axb}:x', '{ab}:x', '{a}:x', `x${own}:x`, `${own}x:x`]) await redis.set(other, '1');
      expect((await all(scanNames(redis, own))).sort()).toEqual(names.toSorted());
    }
  });

  it('none are read if none are named, and an error of one is an error of all', async () => {
    expect(await readKeys(redis, prefix, [], now)).toEqual([]);
    const wrong: KeyEntry = { name: 'sorted', type: 'zset', expiresAt: null, values: ['member', 'no score'] };
    await expect(writeKeys(redis, prefix, [wrong], now)).rejects.toThrow('float');
  });
});

const key = { source: 'main', orthancStudyId: 'o-1' };

/** Routes study number `index` to targets. */
async function route(index: number, targets: readonly string[], more: object = {}): Promise<void> {
  const study = {
    source: 'main',
    orthancStudyId: `o-${index}`,
    epoch: '1',
    studyInstanceUid: `1.2.${index}`,
    contentHash: 'h',
    instanceCount: 1,
    modalities: ['CT'],
    rules: ['all', 'ct'],
    targets,
    studyTaskId: `s-${index}`,
    routedAt: 1_700_000_000_000 + index,
    lastUpdate: undefined,
    search: { key: 'k', hashes: [`hash-${index}`] },
  };
  const deliveries = targets.map((target) => ({
    ...study,
    target,
    priority: 'normal' as const,
    deliveryId: `d-${index}-${target}`,
    ...more,
  }));
  await new Records(redis, prefix).routed(study as never, deliveries as never);
}

const studiesNow = () => all(readStudies(redis, prefix, async () => now));

describe('studies', () => {
  /** One study with deliveries in several states, and all that belongs to them. */
  async function prepare(): Promise<void> {
    const records = new Records(redis, prefix);
    await route(1, ['pacs', 'cloud', 'web', 'lab']);
    await route(2, ['pacs'], { transform: { name: 'anonymous' } });
    const error = { code: 'instance-refused', stage: 'transfer', fault: 'target', message: 'no', remedy: 'x' } as const;
    await records.update('d-1-pacs', { state: 'active', error });
    await records.change('d-1-pacs', { ...act('end'), patch: { state: 'failed', failStage: 'connect' } });
    await records.change('d-1-cloud', { ...act('hold'), patch: { wake: 'person' } });
    await records.update('d-1-web', { state: 'active', wake: 'attempt' });
    await records.change('d-1-web', { ...act('askToCancel'), patch: {} });
    await redis.hset(`${prefix}:choices:main o-1`, 'group', '{"target":"pacs"}');
    await redis.hset(`${prefix}:state:d-1-pacs`, 'handler', '1');
    await redis.set(`${prefix}:receipt:d-1-pacs`, binary);
    await redis.hset(`${prefix}:receipt-open:d-1-web`, 'field', '[]');
    const places = { current: 'pacs~2', places: [{ ledger: 'pacs' }, { ledger: 'pacs~2' }] };
    await redis.set(`${prefix}:places:pacs`, JSON.stringify(places));
    const ledger = createLedger(redis, { prefix });
    for (const target of ['pacs', 'pacs~2', 'cloud', 'pacs+anonymous', 'pacs~2+anonymous', 'lab~former']) {
      for (const index of [1, 2]) {
        const id = { source: 'main', orthancStudyId: `o-${index}`, studyInstanceUid: `1.2.${index}` };
        await ledger.confirm({ ...id, target }, [
          { sopInstanceUid: '1', version: 'v', attempt: 1, deliveryId: 'd', at: 1 },
        ]);
      }
    }
    await redis.hset(`${prefix}:delivery:d-1-lab`, 'ledger', 'lab~former');
  }

  const withoutIndexes = async () => (await redis.keys('*')).filter((name) => !name.includes(':index:')).sort();

  it('return with their deliveries, confirmations and everything that belongs to them', async () => {
    await prepare();
    const studies = (await studiesNow()).sort((one, other) => (one.orthancStudyId < other.orthancStudyId ? -1 : 1));
    expect(studies.map(({ source, orthancStudyId }) => [source, orthancStudyId])).toEqual([
      ['main', 'o-1'],
      ['main', 'o-2'],
    ]);
    expect([...studies[0]!.deliveryIds].sort()).toEqual(['d-1-cloud', 'd-1-lab', 'd-1-pacs', 'd-1-web']);
    expect(studies[0]!.held).toEqual(['d-1-cloud']);
    expect(studies[1]!.held).toEqual([]);
    // Ledgers of the places and transforms that its deliveries name, and no others.
    const ledgersOf = ({ keys }: StudyEntry) => [
      ...new Set(
        keys.flatMap(({ name }) => (name.startsWith('ledger:') ? [name.split(':').slice(2, 4).join(' ')] : [])),
      ),
    ];
    expect(ledgersOf(studies[0]!).sort()).toEqual(['o-1 cloud', 'o-1 lab~former', 'o-1 pacs', 'o-1 pacs~2']);
    expect(ledgersOf(studies[1]!).sort()).toEqual(['o-2 pacs+anonymous', 'o-2 pacs~2+anonymous']);
    const names = studies[0]!.keys.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining([
        'study:main:o-1',
        'study-deliveries:main:o-1',
        'choices:main o-1',
        'delivery:d-1-pacs',
        'cancelled:d-1-web',
        'state:d-1-pacs',
        'receipt:d-1-pacs',
        'receipt-open:d-1-web',
      ]),
    );
  });

  it('are restored with the same keys, and are found in the same indexes', async () => {
    await prepare();
    // Names of errors that no delivery has any more are not restored.
    await redis.srem(`${prefix}:index:errors`, 'pacs active transfer instance-refused');
    const studies = await studiesNow();
    const before = await withoutIndexes();
    const indexes = async () => {
      const found: Record<string, unknown> = {};
      for (const name of (await redis.keys(`${prefix}:index:*`)).sort()) {
        const type = await redis.type(name);
        if (type === 'set') found[name] = (await redis.smembers(name)).toSorted();
        else if (type === 'hash') found[name] = (await redis.hkeys(name)).toSorted();
        else if (name.endsWith(':open')) found[name] = (await redis.zrange(name, '0', '-1')).toSorted();
        else found[name] = await redis.zrange(name, '0', '-1', 'WITHSCORES');
      }
      return found;
    };
    const indexesBefore = await indexes();
    await redis.flushall();
    await writeStudies(redis, prefix, studies, now);
    // Places are other keys of a backup; the other study had confirmations of no delivery.
    const expected = before.filter(
      (name) => !/:places|:o-1:pacs(~2)?\+|:o-2:(pacs|pacs~2|cloud|lab~former):/.test(name),
    );
    expect(await withoutIndexes()).toEqual(expected);
    expect(await indexes()).toEqual(indexesBefore);
    // Open ones are checked by the next reconciliation.
    expect(await redis.zscore(`${prefix}:index:open`, 'd-1-lab')).toBe('1700000000001');
    expect(await redis.zscore(`${prefix}:index:open`, 'd-2-pacs')).toBe('1700000000002');
    const records = new Records(redis, prefix);
    expect(await records.look('d-1-cloud')).toMatchObject({ isHeld: true, record: { state: 'waiting' } });
    expect(await records.look('d-1-web')).toMatchObject({ isCancelled: true, record: { state: 'active' } });
    expect(await records.errors()).toMatchObject([{ target: 'pacs', state: 'failed', stage: 'connect', count: 1 }]);
    expect((await records.studiesOfHashes(['hash-2'], 9)).map(({ orthancStudyId }) => orthancStudyId)).toEqual(['o-2']);
  });

  it('that exist, and later ones of the same study, are not written over', async () => {
    await route(1, ['pacs']);
    const [study] = await studiesNow();
    await redis.flushall();
    const held: StudyEntry = { ...study!, held: ['d-1-pacs'] };
    await writeStudies(redis, prefix, [study!, held], now);
    expect(await redis.exists(`${prefix}:held`)).toBe(0);
    await writeStudies(redis, prefix, [held], now);
    expect(await redis.exists(`${prefix}:held`)).toBe(0);
    expect(await redis.zrange(`${prefix}:index:waiting:pacs`, '0', '-1')).toEqual(['d-1-pacs']);
  });

  it('are all returned, also many', async () => {
    for (let index = 0; index < 450; index += 1) await route(index, ['pacs']);
    const found = await studiesNow();
    expect(new Set(found.map(({ orthancStudyId }) => orthancStudyId)).size).toBe(450);
  });

  it('that get deliveries faster than they can be read are an error', async () => {
    await route(1, ['pacs']);
    const listed = `${prefix}:study-deliveries:main:o-1`;
    let count = 0;
    const changing = new Proxy(redis, {
      get(target, name) {
        if (name === 'zrange') {
          return async () => {
            const ids = await redis.zrange(listed, '0', '-1');
            if (count >= 0) await redis.zadd(listed, 1, `d-new-${(count += 1)}`);
            if (count === stopAt) count = -1;
            return ids;
          };
        }
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    let stopAt = Infinity;
    const read = () => all(readStudies(changing, prefix, async () => now));
    await expect(read()).rejects.toThrow('the study o-1 of main keeps changing');
    // It is read again until it rests.
    count = 0;
    stopAt = 3;
    expect((await read()).map(({ deliveryIds }) => deliveryIds.length)).toEqual([await redis.zcard(listed)]);
  });

  it('whose record is missing are restored as far as they are known', async () => {
    await route(1, ['pacs']);
    await redis.del(`${prefix}:study:main:o-1`);
    const [study] = await studiesNow();
    await redis.flushall();
    await writeStudies(redis, prefix, [study!], now);
    expect((await new Records(redis, prefix).deliveriesOf(key)).map(({ deliveryId }) => deliveryId)).toEqual([
      'd-1-pacs',
    ]);
  });
});
