import { startRedis, tempFolder, type RedisServer } from '@dicom-dispatch/harness';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { ConfigVersions } from '@dicom-dispatch/runtime';
import { restoreNow } from './config-versions.ts';

let server: RedisServer;
let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
});
beforeEach(async () => {
  folder = await tempFolder('restore');
  return () => folder.remove();
});
afterAll(() => server?.stop());

const nobody = 'redis://127.0.0.1:1';
const text = (redis: string): string => `redis: { url: '${redis}' }
sources:
  main: { url: http://127.0.0.1:1 }
targets:
  a: { type: dummy }
rules:
  - { name: everything, targets: [a] }
`;

/** Records versions and restores the first; returns the output. */
async function restoreFirst(...texts: readonly string[]): Promise<string> {
  const config = join(folder.path, 'dispatch.yaml');
  const versions = new ConfigVersions(config);
  for (const one of texts) {
    await writeFile(config, one);
    await versions.add({ text: one, author: 'anna', reason: 'test' });
  }
  const printed: string[] = [];
  const log = vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
  try {
    await restoreNow(1, { config });
  } finally {
    log.mockRestore();
  }
  expect(await readFile(config, 'utf8')).toBe(texts[0]);
  expect(await versions.newest()).toMatchObject({ number: texts.length + 1, reason: 'version 1 restored' });
  return printed.join('\n');
}

describe('config restore', () => {
  it('contacts services over the Redis of the configuration in use, not of the restored one', async () => {
    const printed = await restoreFirst(text(nobody), text(server.url));
    expect(printed).toBe('Version 3 is in place. No service is running that could use it.');
  });

  it('reports that no service was reached if Redis is unavailable, not that none runs', async () => {
    const printed = await restoreFirst(text(server.url), text(nobody));
    expect(printed).toMatch(
      /^version 1 is in the file; no service was notified: Redis at .*127\.0\.0\.1:1.* cannot be used/,
    );
    expect(printed).not.toMatch(/no service is running/i);
  });
});
