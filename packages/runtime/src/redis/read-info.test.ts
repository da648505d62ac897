import { isInstalled, startRedis } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { checkRedis } from './check-redis.ts';
import { readInfo } from './read-info.ts';

describe.each(['redis-server', 'valkey-server'] as const)('INFO of %s', (program) => {
  it.skipIf(!isInstalled(program))('is read, and left out where the user may not ask', async () => {
    await using server = await startRedis({ program });
    const redis = new Redis(server.url);
    try {
      const info = await readInfo(redis, '{dicom-dispatch}', 'memory');
      expect(Number(info?.get('used_memory'))).toBeGreaterThan(0);
      expect(await checkRedis(redis)).toEqual([]);

      await redis.call('ACL', 'SETUSER', 'default', '-info');
      expect(await readInfo(redis, '{dicom-dispatch}', 'memory')).toBeUndefined();
      expect(await checkRedis(redis)).toMatchObject([
        { severity: 'warning', message: expect.stringContaining('+info') },
      ]);
    } finally {
      redis.disconnect();
    }
  });
});

it('rejects a Redis whose commands were renamed, and names what to remove', async () => {
  const args = ['--rename-command', 'EVALSHA', '', '--rename-command', 'CONFIG', ''];
  await using server = await startRedis({ args });
  const redis = new Redis(server.url);
  try {
    expect(await checkRedis(redis)).toEqual([
      { severity: 'refused', message: 'it has no EVALSHA: remove "rename-command" for these from its configuration' },
    ]);
  } finally {
    redis.disconnect();
  }
});
