import { startRedis } from '@dicom-dispatch/harness';
import { Secret } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { openRedis } from './connect-redis.ts';

it('reports the reason for a rejected Redis login, and never the credentials', async () => {
  await using server = await startRedis({ appendonly: false, password: 'the right one' });
  const { host } = new URL(server.url);
  const url = `redis://${host}`;
  const reason = async (more: object): Promise<string> => {
    try {
      (await openRedis({ url, ...more }, 'test', 5_000)).disconnect();
      return 'in';
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(await reason({ password: new Secret('the right one') })).toBe('in');
  expect(await reason({ password: new Secret('the wrong one') })).toBe(
    'it refuses the user or the password: correct redis.username and redis.password',
  );
  expect(await reason({ username: 'nobody', password: new Secret('x') })).toContain(
    'it refuses the user or the password',
  );
  expect(await reason({})).toBe('it asks for a password: set redis.password');
});
