import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  checkFormat,
  currentFormat,
  keyTable,
  keyTableMarkdown,
  migrations,
  openFormat,
  redisKeys,
  rowOfKey,
  type Migration,
} from './index.ts';
import { SharedUids } from '../shared-uids/index.ts';

const prefix = '{dicom-dispatch}';

describe('the registry of keys', () => {
  it('is the table in docs/architecture.md', async () => {
    const page = await readFile(new URL('../../../../docs/architecture.md', import.meta.url), 'utf8');
    expect(/<!-- keys -->\n([\s\S]*?)\n<!-- end -->/.exec(page)?.[1]).toBe(keyTableMarkdown());
  });

  it('has a row for every key that is built', () => {
    // Keys are built once per prefix.
    const fresh = `{${randomUUID()}}`;
    const keys = redisKeys(fresh);
    expect(redisKeys(fresh)).toBe(keys);
    const built = Object.values(keys).map((key) =>
      typeof key === 'string' ? key : (key as (...args: unknown[]) => string)('one', 'two', 'three'),
    );
    expect(built.filter((key) => rowOfKey(fresh, key) === undefined)).toEqual([]);
    expect(new Set(built).size).toBe(built.length);
  });

  it('finds no row for an unknown key', () => {
    for (const key of ['other', `${prefix}:`, `${prefix}:unknown`, `${prefix}:delivery:d-1:more`]) {
      expect(rowOfKey(prefix, key)).toBeUndefined();
    }
    expect(rowOfKey(prefix, `${prefix}:target-pacs:d-1:lock`)?.what).toContain('BullMQ');
    expect(new Set(keyTable.flatMap(({ keys }) => keys)).size).toBe(keyTable.flatMap(({ keys }) => keys).length);
  });
});

describe('the format version', () => {
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
  beforeEach(() => redis.flushall());

  it('migrates step by step, once for all processes that start together, and continues after a failed step', async () => {
    const ran: number[] = [];
    let fails = true;
    const migrations: Migration[] = [1, 2, 3].map((to) => ({
      to,
      what: `step ${to}`,
      async run() {
        if (to === 3 && fails) throw new Error('broken');
        ran.push(to);
      },
    }));
    await expect(openFormat(redis, prefix, { migrations })).rejects.toThrow('broken');
    // An older version sees the format of the step that has begun.
    expect(await redis.mget(redisKeys(prefix).format, redisKeys(prefix).formatPending)).toEqual(['3', '3']);
    await expect(openFormat(redis, prefix, { migrations: migrations.slice(0, 2) })).rejects.toThrow(
      'has format 3, this version supports up to 2',
    );
    fails = false;
    await Promise.all(Array.from({ length: 5 }, () => openFormat(redis, prefix, { migrations })));
    expect(ran).toEqual([1, 2, 3]);
    expect(await redis.keys('*')).toEqual([redisKeys(prefix).format]);
  });

  it('does not migrate while services of an older version run', async () => {
    const keys = redisKeys(prefix);
    const run = (id: string, about: object): Promise<unknown> =>
      Promise.all([
        redis.zadd(keys.processes, Date.now(), id),
        redis.set(keys.process(id), JSON.stringify({ services: ['router'], host: 'east', pid: 7, ...about })),
      ]);
    await redis.set(keys.format, currentFormat - 1);
    await run('p-old', { format: currentFormat - 1 });
    await run('p-new', { format: currentFormat, pid: 8 });
    await expect(openFormat(redis, prefix)).rejects.toThrow('run: router on east (process 7). Stop them first');
    expect(await redis.get(keys.format)).toBe(String(currentFormat - 1));
    await redis.del(keys.process('p-old'));
    expect(await openFormat(redis, prefix)).toEqual({ version: currentFormat, found: currentFormat - 1 });
  });

  it('is known to commands, which migrate nothing', async () => {
    const keys = redisKeys(prefix);
    await checkFormat(redis, prefix);
    await redis.set(keys.format, currentFormat - 1);
    await expect(checkFormat(redis, prefix)).rejects.toThrow(`this version writes ${currentFormat}`);
    await redis.set(keys.format, currentFormat + 1);
    await expect(checkFormat(redis, prefix)).rejects.toThrow('start the newer version again');
    expect(await redis.keys('*')).toEqual([keys.format]);
  });

  it('rejects data of a newer version', async () => {
    await redis.set(redisKeys(prefix).format, 99);
    await expect(openFormat(redis, prefix)).rejects.toThrow('the data in Redis has format 99');
  });

  it('4: packs the index of SOP Instance UIDs and marks possible losses, also when it was interrupted or runs again', async () => {
    const keys = redisKeys(prefix);
    // As a former version wrote them: hashes by block, and names by a hash of 5 bytes.
    const uids = ['1.2.3.1', '1.2.3.150', '2.25.1234'];
    const members = ['main a', 'other b'];
    for (const [index, member] of members.entries()) {
      const hash = createHash('sha256').update(member).digest();
      await redis.hset(keys.uidStudies(hash.toString('hex', 0, 2)), hash.subarray(2, 5), member);
      for (const uid of uids) {
        const [, head = '', tail = ''] = /^(.*?)(\d{1,2})$/.exec(uid) ?? [];
        const block = createHash('sha256').update(head).digest();
        const [key, field] = [keys.uidBlocks(block.toString('hex', 0, 2)), block.subarray(2, 6)];
        const known = (await redis.hgetBuffer(key, field as never)) ?? Buffer.alloc(0);
        const entry = Buffer.concat([hash.subarray(0, 5), Buffer.from([Number(tail) - index, Number(tail)])]);
        await redis.hset(key, field, Buffer.concat([known, entry]));
      }
    }
    const notices = { 'd-1': 'the target may show only one of the two.', 'd-2': 'An instance replaced a file' };
    for (const [id, notice] of Object.entries(notices)) {
      await redis.hset(keys.delivery(id), { data: '{}', notice });
      await redis.zadd(keys.index('state:delivered'), 1, id);
    }
    await redis.zadd(keys.index('studies'), 1, 'main a');
    await redis.set(keys.format, 3);
    await openFormat(redis, prefix, { migrations: migrations.filter(({ to }) => to <= 4) });
    const last = migrations.find(({ to }) => to === 4);
    await last?.run(redis, prefix);
    const shared = new SharedUids(redis, prefix);
    const found = await shared.find({ source: 'new', orthancStudyId: 'c' }, ['1.2.3.1', '2.25.1234']);
    expect(found.map(({ orthancStudyId }) => orthancStudyId).sort()).toEqual(['a', 'b']);
    expect(await shared.find({ source: 'main', orthancStudyId: 'a' }, ['1.2.3.149'])).toEqual([
      { source: 'other', orthancStudyId: 'b' },
    ]);
    expect(await redis.hget(keys.delivery('d-1'), 'mayBeLost')).toBe('true');
    expect(await redis.hget(keys.delivery('d-2'), 'mayBeLost')).toBeNull();
    for (const member of members) {
      const [source = '', orthancStudyId = ''] = member.split(' ');
      await shared.remove({ source, orthancStudyId }, uids);
    }
    expect(await redis.keys('*:uid*')).toEqual([]);
  });
});
