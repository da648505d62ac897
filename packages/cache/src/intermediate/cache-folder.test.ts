import { Redis } from 'ioredis';
import { startRedis, tempFolder, type RedisServer, type TempFolder } from '@dicom-dispatch/harness';
import { randomFillSync } from 'node:crypto';
import { readdir, readFile, readlink, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CacheWarning } from './cache-types.ts';
import { IntermediateCache } from './intermediate-cache.ts';
import { configOf } from './testing.ts';

let server: RedisServer;
let redis: Redis;
let folder: TempFolder;
let warnings: CacheWarning[];

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await redis.flushall();
  folder = await tempFolder('cache');
  warnings = [];
});
afterEach(() => folder.remove());

function open(maxSize = '20MB', path = folder.path): Promise<IntermediateCache> {
  const config = configOf({ folder: { path, maxSize } });
  return IntermediateCache.open(redis, config, { timeoutMs: 30_000, onWarning: (warning) => warnings.push(warning) });
}

async function* pixels(chunks: number, length = 100_000): AsyncGenerator<Uint8Array> {
  const reused = Buffer.alloc(length);
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    // One buffer for all chunks, as when reading from a socket.
    reused.fill(chunk);
    yield reused;
  }
}

async function isAllPixels(body: AsyncIterable<Uint8Array>, chunks: number, length = 100_000): Promise<boolean> {
  let at = 0;
  for await (const chunk of body) {
    for (let offset = 0; offset < chunk.byteLength;) {
      const part = Math.min(chunk.byteLength - offset, length - (at % length));
      const expected = Buffer.alloc(part, Math.floor(at / length) & 0xff);
      if (!expected.equals(chunk.subarray(offset, offset + part))) return false;
      offset += part;
      at += part;
    }
  }
  return at === chunks * length;
}

async function filesIn(path: string): Promise<string[]> {
  const found = await readdir(path, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && entry.name !== 'folder-id')
    .map((entry) => join(entry.parentPath, entry.name));
}

test.each(['transformed-instance', 'compressed-type'])(
  'stores a stream in a file and returns it (%s)',
  async (type) => {
    const cache = await open();
    expect(await cache.putStream(type, 'a', pixels(200))).toBe('stored');
    const found = await cache.openStream(type, 'a');
    expect(found?.sizeBytes).toBe(20_000_000);
    expect(await isAllPixels(found!.body, 200)).toBe(true);
    expect(await filesIn(folder.path)).toHaveLength(1);
    const stats = await cache.stats();
    expect(stats?.bytes).toBeLessThan(2_000);
    if (type === 'compressed-type') expect(stats?.fileBytes).toBeLessThan(1_000_000);
    else expect(stats?.fileBytes).toBe(20_000_000);
    await cache.invalidate(type, 'a');
    expect(await filesIn(folder.path)).toEqual([]);
  },
);

test('a file that is evicted while it is read is read to its end', async () => {
  const cache = await open();
  await cache.putStream('transformed-instance', 'a', pixels(100));
  const found = await cache.openStream('transformed-instance', 'a');
  const iterator = found!.body[Symbol.asyncIterator]();
  let length = (await iterator.next()).value!.byteLength;
  expect(await cache.clear()).toBe(1);
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) length += next.value.byteLength;
  expect(length).toBe(10_000_000);
});

test('the folder respects its budget; a larger result is not stored', async () => {
  const cache = await open('1MB');
  for (const key of ['a', 'b', 'c']) await cache.putStream('transformed-instance', key, pixels(4));
  expect(await Promise.all(['a', 'b', 'c'].map((key) => cache.has('transformed-instance', key)))).toEqual([
    false,
    true,
    true,
  ]);
  expect(await filesIn(folder.path)).toHaveLength(2);
  expect(await cache.putStream('transformed-instance', 'd', pixels(11))).toBe('dropped');
  expect(warnings).toMatchObject([{ code: 'budget-exceeded' }]);
  expect(await filesIn(folder.path)).toHaveLength(2);
});

test.each([
  ['cut off', (file: string) => truncate(file, 150_000)],
  ['gone', (file: string) => rm(file)],
  [
    'changed',
    async (file: string) => {
      const bytes = await readFile(file);
      bytes[123_456]! ^= 1;
      await writeFile(file, bytes);
    },
  ],
])('a spoilt file (%s) is a miss before its first byte is handed on', async (_how, spoil) => {
  const cache = await open();
  await cache.putStream('transformed-instance', 'a', pixels(3));
  await spoil((await filesIn(folder.path))[0]!);
  expect(await cache.openStream('transformed-instance', 'a')).toBeUndefined();
  expect(warnings).toMatchObject([{ code: 'corrupt-value' }]);
  expect(await filesIn(folder.path)).toEqual([]);
  const made = await cache.getOrComputeStream('transformed-instance', 'a', async () => pixels(3));
  expect(await isAllPixels(made.body, 3)).toBe(true);
});

test('a failing source leaves nothing behind, and its error is passed on', async () => {
  const cache = await open();
  async function* failing() {
    yield* pixels(3);
    throw new Error('the source broke');
  }
  await expect(cache.putStream('transformed-instance', 'a', failing())).rejects.toThrow('the source broke');
  await expect(cache.getOrComputeStream('transformed-instance', 'a', async () => failing())).rejects.toThrow(
    'the source broke',
  );
  expect(await filesIn(folder.path)).toEqual([]);
  expect(warnings).toEqual([]);
  const made = await cache.getOrComputeStream('transformed-instance', 'a', async () => pixels(3));
  expect(made.sizeBytes).toBe(300_000);
  await made.close();
});

test('a folder that fails costs a warning and no result', async () => {
  const cache = await open();
  await rm(join(folder.path, 'partial'), { recursive: true });
  expect(await cache.putStream('transformed-instance', 'a', pixels(3))).toBe('dropped');
  const made = await cache.getOrComputeStream('transformed-instance', 'a', async () => pixels(3));
  expect(await isAllPixels(made.body, 3)).toBe(true);
  expect(warnings.map((warning) => warning.code)).toEqual(['folder-failed', 'folder-failed']);

  const file = join(folder.path, 'a-file');
  await writeFile(file, '');
  const without = await open('1MB', file);
  expect(await without.put('manifest', 'a', Buffer.from('1'))).toBe('stored');
  expect(warnings[2]).toMatchObject({ code: 'folder-failed' });
});

test('without a folder, a result too large for Redis is returned without being stored', async () => {
  const cache = await IntermediateCache.open(redis, configOf({}), {
    timeoutMs: 30_000,
    maxValueBytes: 250_000,
    onWarning: (warning) => warnings.push(warning),
  });
  expect(await cache.putStream('transformed-instance', 'a', pixels(3))).toBe('dropped');
  let made = 0;
  const produce = async () => {
    made += 1;
    return pixels(3);
  };
  const stream = await cache.getOrComputeStream('transformed-instance', 'a', produce);
  expect(stream.sizeBytes).toBeUndefined();
  expect(await isAllPixels(stream.body, 3)).toBe(true);
  expect(made).toBe(1);
  expect(warnings.map((warning) => warning.code)).toEqual(['too-large', 'too-large']);
  // The second does not wait for anyone.
  await (await cache.getOrComputeStream('transformed-instance', 'a', produce)).close();
  expect(made).toBe(2);

  const small = await cache.getOrComputeStream('transformed-instance', 'b', async () => pixels(2));
  expect(await isAllPixels(small.body, 2)).toBe(true);
  const again = await cache.getOrComputeStream('transformed-instance', 'b', produce);
  expect(await isAllPixels(again.body, 2)).toBe(true);
  expect(made).toBe(2);
});

test('machines with separate folders neither see nor damage the results of others', async () => {
  await using second = await tempFolder('cache');
  const [one, two] = [await open(), await open('20MB', second.path)];
  await one.putStream('transformed-instance', 'a', pixels(3));
  expect(await two.has('transformed-instance', 'a')).toBe(false);
  await two.putStream('transformed-instance', 'a', pixels(3));
  expect(await one.has('transformed-instance', 'a')).toBe(true);
  await one.put('manifest', 'small', Buffer.from('1'));
  expect(await two.has('manifest', 'small')).toBe(true);

  expect(await one.invalidate('transformed-instance', 'a')).toBe(true);
  expect(await two.has('transformed-instance', 'a')).toBe(false);
  const [orphan] = await filesIn(second.path);
  await two.prune();
  expect(await filesIn(second.path)).toEqual([orphan]);
  await utimes(orphan!, 1, 1);
  await two.prune();
  expect(await filesIn(second.path)).toEqual([]);
});

test('the sweep leaves what is known and what is being written', async () => {
  const cache = await open();
  await cache.put('transformed-instance', 'a', randomFillSync(Buffer.alloc(100_000)));
  const [live] = await filesIn(folder.path);
  await utimes(live!, 1, 1);
  await writeFile(join(folder.path, 'partial', 'x'), 'of now');
  await writeFile(join(folder.path, 'partial', 'y'), 'of a crash');
  await utimes(join(folder.path, 'partial', 'y'), 1, 1);
  await cache.prune();
  expect((await filesIn(folder.path)).sort()).toEqual([live!, join(folder.path, 'partial', 'x')].sort());
  expect((await cache.get('transformed-instance', 'a'))?.sizeBytes).toBe(100_000);
});

test('a stream that is left before its first byte closes its file', async () => {
  const cache = await open();
  await cache.putStream('transformed-instance', 'a', pixels(20));
  const openFiles = async (): Promise<string[]> => {
    const links = await Promise.all(
      (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
    );
    return links.filter((path) => path.startsWith(folder.path));
  };
  const stream = await cache.openStream('transformed-instance', 'a');
  expect(await openFiles()).toHaveLength(1);
  await stream?.body[Symbol.asyncIterator]().return?.();
  expect(await openFiles()).toEqual([]);
  expect(await isAllPixels((await cache.openStream('transformed-instance', 'a'))!.body, 20)).toBe(true);
  expect(await openFiles()).toEqual([]);
});
