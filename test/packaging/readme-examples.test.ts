import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format } from 'node:util';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';

const root = fileURLToPath(new URL('../../packages/', import.meta.url));
let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis({ appendonly: false });
  vi.stubEnv('REDIS_URL', redis.url);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await redis.stop();
});

it.each(['cache', 'targets'])('the README of %s shows its examples and what they print', async (name) => {
  const readme = await readFile(join(root, name, 'README.md'), 'utf8');
  const blocks = readme.matchAll(/^```ts\n([^]*?)^```\n\n```text\n([^]*?)^```$/gm);
  const shown = new Map([...blocks].map(([, code = '', output = '']) => [code, output]));
  const examples = join(root, name, 'examples');
  const files = await readdir(examples);
  let printed = '';
  using _log = vi.spyOn(console, 'log').mockImplementation((...args) => void (printed += `${format(...args)}\n`));
  // One after the other: those of the cache share its keys.
  for (const file of files) {
    const output = shown.get(await readFile(join(examples, file), 'utf8'));
    expect(output, `${file} is not in the README as it is`).toBeDefined();
    printed = '';
    await import(join(examples, file));
    expect(printed, file).toBe(output);
  }
  expect(shown.size).toBe(files.length);
});
