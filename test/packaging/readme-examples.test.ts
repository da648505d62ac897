import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../packages/', import.meta.url));
let redis: RedisServer;

beforeAll(async () => {
  redis = await startRedis({ appendonly: false });
});
afterAll(() => redis.stop());

it.each(['cache', 'targets'])('the README of %s shows its examples and what they print', async (name) => {
  const readme = await readFile(join(root, name, 'README.md'), 'utf8');
  const shown = new Map(
    [...readme.matchAll(/^```ts\n([^]*?)^```\n\n```text\n([^]*?)^```$/gm)].map(([, code = '', output = '']) => [
      code,
      output,
    ]),
  );
  const examples = join(root, name, 'examples');
  // One after the other: those of the cache share its keys.
  for (const file of await readdir(examples)) {
    const output = shown.get(await readFile(join(examples, file), 'utf8'));
    expect(output, `${file} is not in the README`).toBeDefined();
    const env = { ...process.env, REDIS_URL: redis.url };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [join(examples, file)], { env });
    expect(stdout, `${file}: ${stderr}`).toBe(output);
  }
  expect(shown.size).toBe((await readdir(examples)).length);
});
