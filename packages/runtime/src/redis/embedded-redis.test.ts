import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isInstalled, redisCommand, tempFolder } from '@dicom-dispatch/harness';
import { describe, expect, it } from 'vitest';
import { findEmbeddedRedis, startEmbeddedRedis } from './embedded-redis.ts';

describe.each(['redis-server', 'valkey-server'] as const)('a %s of our own', (program) => {
  it.skipIf(!isInstalled(program))('keeps its data, and goes on with what the same program wrote', async () => {
    await using folder = await tempFolder('embedded');
    await mkdir(join(folder.path, 'redis'));
    await writeFile(join(folder.path, 'redis', 'program'), program);
    expect(await findEmbeddedRedis(folder.path)).toBeUndefined();

    const first = await startEmbeddedRedis(folder.path);
    const fields = String(await redisCommand(first.url, 'INFO', 'server'));
    expect(fields.includes('valkey_version')).toBe(program === 'valkey-server');
    await redisCommand(first.url, 'SET', 'study', 'kept');
    expect(await findEmbeddedRedis(folder.path)).toBe(first.url);
    // A second process on the same folder uses it, and does not end it.
    const second = await startEmbeddedRedis(folder.path);
    expect(second.url).toBe(first.url);
    await first.stop();
    expect(await findEmbeddedRedis(folder.path)).toBeUndefined();

    const again = await startEmbeddedRedis(folder.path);
    expect(await redisCommand(again.url, 'GET', 'study')).toBe('kept');
    expect(await readFile(join(folder.path, 'redis', 'program'), 'utf8')).toBe(program);
    await again.stop();
  });
});
