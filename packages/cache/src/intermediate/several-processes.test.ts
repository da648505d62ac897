import { Redis } from 'ioredis';
import { startRedis, tempFolder, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { IntermediateCache } from './intermediate-cache.ts';
import { configOf, killChildren, runChild } from './testing.ts';

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
afterEach(killChildren);
beforeEach(async () => {
  await redis.flushall();
});

test('eight workers in four processes compute a missing value once', async () => {
  const workers = ['a,b', 'c,d', 'e,f', 'g,h'].map((names) =>
    runChild('compute.child.ts', [server.url, 'the-study', names, '900', '30000']),
  );
  const outputs = await Promise.all(workers.map((worker) => worker.output));
  const [computed = '', ...more] = await redis.lrange('computed', 0, -1);
  expect(more).toEqual([]);
  expect(outputs).toEqual(outputs.map(() => `${computed},${computed}`));
  const cache = await IntermediateCache.open(redis, configOf({}), { timeoutMs: 30_000 });
  expect(await cache.stats()).toMatchObject({ hits: 7, misses: 1 });
});

test('if the computing worker is killed, another one computes it, also for a stream', async () => {
  await using folder = await tempFolder('cache');
  const start = (key: string, name: string, durationMs: number, ...rest: string[]) =>
    runChild('compute.child.ts', [server.url, key, name, String(durationMs), '1500', ...rest]);
  const doomed = [start('a-study', 'doomed', 60_000), start('an-instance', 'doomed', 60_000, folder.path)];
  await waitFor(async () => (await redis.llen('computed')) === 2);
  const heirs = [start('a-study', 'heir', 1), start('an-instance', 'heir', 1, folder.path)];
  await waitFor(async () => (await redis.get('workers')) === '4');
  for (const worker of doomed) worker.process.kill('SIGKILL');
  expect(await Promise.all(heirs.map((heir) => heir.output))).toEqual(['heir', '19000000']);
  expect((await redis.lrange('computed', 0, -1)).sort()).toEqual(['doomed', 'doomed', 'heir', 'heir']);
  await Promise.all(doomed.map((worker) => worker.output));
});

test('concurrent writers keep within the budget, and the accounts are exact', async () => {
  await using folder = await tempFolder('cache');
  const budget = 150_000;
  const totals = '{dicom-dispatch}:cache:totals';
  const cache = await IntermediateCache.open(
    redis,
    configOf({ maxMemory: '150kB', folder: { path: folder.path, maxSize: '300kB' } }),
  );
  const writers = [1, 2, 3, 4].map((seed) =>
    runChild('writers.child.ts', [server.url, String(seed), '400', String(budget / 1000), folder.path]),
  );
  const state = { running: true };
  const ended = Promise.all(writers.map((writer) => writer.output)).finally(() => {
    state.running = false;
  });
  let [max, maxFiles, looks] = [0, 0, 0];
  while (state.running) {
    const [bytes, fileBytes] = await redis.hmget(totals, 'bytes', 'fileBytes');
    max = Math.max(max, Number(bytes));
    maxFiles = Math.max(maxFiles, Number(fileBytes));
    looks += 1;
  }
  await ended;
  expect(looks).toBeGreaterThan(20);
  expect(max).toBeGreaterThan(budget * 0.8);
  expect(max).toBeLessThanOrEqual(budget);
  expect(maxFiles).toBeLessThanOrEqual(300_000);

  const [stats, audit] = [await cache.stats(), await cache.audit()];
  expect(stats).toMatchObject({ entries: audit?.entries, bytes: audit?.bytes, fileBytes: audit?.fileBytes });
  expect(stats?.evictions).toBeGreaterThan(0);
  expect(audit?.lost).toBe(0);
  const byType = Object.values(stats?.types ?? {});
  expect(byType.reduce((sum, type) => sum + type.bytes, 0)).toBe(stats?.bytes);
  // The accounted size is at least that reported by Redis.
  let held = 0;
  for (const key of await redis.keys('*cache:*')) held += Number(await redis.memory('USAGE', key, 'SAMPLES', 0));
  expect(held).toBeLessThanOrEqual(stats!.bytes + 4_000);

  const files = (await readdir(folder.path, { recursive: true, withFileTypes: true })).filter(
    (entry) => entry.isFile() && entry.name !== 'folder-id',
  );
  const sizes = await Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(stats?.fileBytes);

  await cache.clear();
  expect(await cache.stats()).toMatchObject({ entries: 0, bytes: 0, fileBytes: 0, persistentBytes: 0 });
  const left = (await redis.keys('*')).map((key) => key.replace('{dicom-dispatch}:cache:', ''));
  expect(left.filter((key) => key !== 'totals' && key !== 'folders' && !key.startsWith('use:'))).toEqual([]);
});
