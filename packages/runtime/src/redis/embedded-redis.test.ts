import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isInstalled, redisCommand, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { describe, expect, it, test } from 'vitest';
import { openRedis } from './connect-redis.ts';
import { findEmbeddedRedis, startEmbeddedRedis } from './embedded-redis.ts';
import { addressOf } from './redis-options.ts';

describe.each(['redis-server', 'valkey-server'] as const)('a %s of our own', (program) => {
  it.skipIf(!isInstalled(program))(
    'persists its data compactly, and continues with files of the same program',
    async () => {
      await using folder = await tempFolder('embedded');
      await mkdir(join(folder.path, 'redis'));
      await writeFile(join(folder.path, 'redis', 'program'), program);
      expect(await findEmbeddedRedis(folder.path)).toBeUndefined();

      const first = await startEmbeddedRedis(folder.path);
      const fields = String(await redisCommand(first.url, 'INFO', 'server'));
      expect(fields.includes('valkey_version')).toBe(program === 'valkey-server');
      await redisCommand(first.url, 'SET', 'study', 'kept');
      await redisCommand(first.url, 'HSET', 'delivery', 'state', 'delivered', 'data', 'x'.repeat(900));
      expect(await findEmbeddedRedis(folder.path)).toBe(first.url);
      // A second process with the same folder uses it, and does not end it.
      const second = await startEmbeddedRedis(folder.path);
      expect(second.url).toBe(first.url);
      await first.stop();
      expect(await findEmbeddedRedis(folder.path)).toBeUndefined();

      const again = await startEmbeddedRedis(folder.path);
      expect(await redisCommand(again.url, 'GET', 'study')).toBe('kept');
      expect(await redisCommand(again.url, 'OBJECT', 'ENCODING', 'delivery')).toMatch(/^(listpack|ziplist)$/);
      expect(await readFile(join(folder.path, 'redis', 'program'), 'utf8')).toBe(program);
      await again.stop();
    },
  );
});

it('works in a folder whose name has spaces, signs and letters of any language', async () => {
  await using folder = await tempFolder('embedded');
  const odd = join(folder.path, 'Größe #1 %20 (データ)?');
  const redis = await startEmbeddedRedis(odd);
  const connection = await openRedis(redis.url, 'test', 5_000);
  try {
    expect(await connection.ping()).toBe('PONG');
    expect(await findEmbeddedRedis(odd)).toBe(redis.url);
    expect(addressOf(redis.url)).toBe(join(odd, 'redis', 'redis.sock'));
  } finally {
    connection.disconnect();
    await redis.stop();
  }
});

it('rejects a folder whose path is too long for a socket', async () => {
  await using folder = await tempFolder('embedded');
  const long = join(folder.path, 'a'.repeat(100));
  await expect(startEmbeddedRedis(long)).rejects.toThrow(
    /redis\.dataFolder: the socket .* the system allows at most 107/,
  );
  expect(existsSync(long)).toBe(false);
});

/** The process that works in a folder, which is how Redis is started. */
function pidIn(folder: string): number {
  const found = readdirSync('/proc').find((entry) => {
    try {
      return /^\d+$/.test(entry) && readlinkSync(`/proc/${entry}/cwd`) === folder;
    } catch {
      return false;
    }
  });
  if (found === undefined) throw new Error(`no process works in ${folder}`);
  return Number(found);
}

test('one that hangs is not started twice, is found all the same, and is killed at the end', async () => {
  await using folder = await tempFolder('embedded');
  const redis = await startEmbeddedRedis(folder.path, undefined, { endWithinMs: 100 });
  const pid = pidIn(join(folder.path, 'redis'));
  process.kill(pid, 'SIGSTOP');
  await expect(startEmbeddedRedis(folder.path, undefined, { answerWithinMs: 100 })).rejects.toThrow(
    /did not respond within 0.1 s: stop it/,
  );
  expect(await findEmbeddedRedis(folder.path)).toBe(redis.url);
  await expect(redis.stop()).rejects.toThrow('was killed');
  await waitFor(() => !existsSync(`/proc/${pid}`), { message: 'it is gone' });
});

test('a start that is given up leaves nothing behind', async () => {
  await using folder = await tempFolder('embedded');
  const giveUp = new AbortController();
  const started = startEmbeddedRedis(folder.path, giveUp.signal);
  giveUp.abort(new Error('given up'));
  await expect(started).rejects.toThrow('given up');
  await waitFor(async () => (await findEmbeddedRedis(folder.path)) === undefined, { message: 'it is gone' });
});
