import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret } from '@dicom-dispatch/core';
import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { CacheWarning } from './cache-types.ts';
import { IntermediateCache } from './intermediate-cache.ts';
import { configOf, testSecret, type CacheInput } from './testing.ts';

let server: RedisServer;
let redis: Redis;
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
  warnings = [];
});

const confidential = { confidential: true };
const patient = Buffer.from(`{"PatientName":"DOE^JANE"}${' '.repeat(2_000)}`);

const open = (config: CacheInput = {}): Promise<IntermediateCache> =>
  IntermediateCache.open(redis, configOf(config), {
    timeoutMs: 30_000,
    onWarning: (warning) => warnings.push(warning),
  });

/** The complete content of Redis. */
async function raw(): Promise<string> {
  const values = await Promise.all((await redis.keys('*cache:entry:*')).map((key) => redis.getBuffer(key)));
  return values.map((value) => value?.toString('latin1')).join('\n');
}

test.each([true, false])('patient data is encrypted in Redis, with compression %s', async (compression) => {
  const cache = await open({ secret: testSecret, compression });
  await cache.put('study', 'open', patient);
  expect(await cache.put('study', 'a', patient, confidential)).toBe('stored');
  expect((await cache.get('study', 'a'))?.bytes).toEqual(patient);
  await cache.invalidate('study', 'open');
  expect(await raw()).not.toContain('DOE');
  expect(await raw()).toContain('"sealed":true');
});

test('cannot be read with another key, or at another address', async () => {
  const cache = await open({ secret: testSecret });
  await cache.put('study', 'a', patient, confidential);
  await cache.put('study', 'b', Buffer.from('other'), confidential);
  const entry = (key: string): string => `{dicom-dispatch}:cache:entry:study ${key}`;
  await redis.copy(entry('a'), entry('b'), 'REPLACE');
  expect(await cache.lookup('study', 'b')).toEqual({ state: 'corrupt' });
  const other = await open({ secret: new Secret('another') });
  expect(await other.lookup('study', 'a')).toEqual({ state: 'corrupt' });
  expect(await other.getOrCompute('study', 'a', async () => 'anew', confidential)).toBe('anew');
  expect(warnings.map(({ code }) => code)).toEqual(['corrupt-value', 'corrupt-value']);
});

test('is read with a key that was replaced as long as it is listed, and written with the new one', async () => {
  const before = await open({ secret: testSecret });
  await before.put('study', 'a', patient, confidential);
  const [older, newer] = [testSecret, new Secret('the new one')];
  const rotated = await open({ secret: [newer, older] });
  expect(await rotated.lookup('study', 'a')).toMatchObject({ state: 'hit' });
  await rotated.put('study', 'b', patient, confidential);
  const after = await open({ secret: newer });
  expect(await after.lookup('study', 'b')).toMatchObject({ state: 'hit' });
  expect(await after.lookup('study', 'a')).toEqual({ state: 'corrupt' });
});

test('without a secret it is stored in the folder, whatever its size, readable only by the owner', async () => {
  await using folder = await tempFolder('cache');
  const path = join(folder.path, 'cache');
  const cache = await open({ folder: { path }, compression: false });
  const stream = await cache.getOrComputeStream(
    'transformed-instance',
    'a',
    async () =>
      (async function* () {
        yield patient;
      })(),
    confidential,
  );
  expect(Buffer.concat(await Array.fromAsync(stream.body))).toEqual(patient);
  expect(await raw()).not.toContain('DOE');
  expect((await cache.get('transformed-instance', 'a'))?.bytes).toEqual(patient);
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries.filter((one) => one.isFile() && one.name !== 'folder-id');
  expect(files).toHaveLength(1);
  expect((await readFile(join(files[0]!.parentPath, files[0]!.name))).includes('DOE')).toBe(true);
  for (const one of entries) {
    const mode = (await stat(join(one.parentPath, one.name))).mode & 0o777;
    expect(mode, one.name).toBe(one.isFile() ? 0o600 : 0o700);
  }
});

test('without a secret and without a folder it is not stored, nor if it must be in Redis', async () => {
  await using folder = await tempFolder('cache');
  const cache = await open();
  expect(await cache.put('study', 'a', patient, confidential)).toBe('dropped');
  expect(await cache.getOrCompute('study', 'a', async () => 1, confidential)).toBe(1);
  expect(await cache.getOrCompute('study', 'a', async () => 2, confidential)).toBe(2);
  // Reported once, not for each result.
  expect(warnings).toEqual([
    {
      code: 'not-confidential',
      type: 'study',
      message: 'confidential results of type study are not kept: configure a secret for the cache',
    },
  ]);
  const filed = await open({ folder: { path: folder.path } });
  expect(await filed.put('study', 'a', patient, { ...confidential, inRedis: true })).toBe('dropped');
  expect(await redis.keys('*cache:entry:*')).toEqual([]);
});
