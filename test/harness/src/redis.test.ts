import { expect, test } from 'vitest';
import { redisCommand, startRedis } from './redis.ts';

test('keeps acknowledged writes over a kill and a restart', async () => {
  await using redis = await startRedis();
  await redis.command('SET', 'study', 'kept');
  await redis.kill('SIGKILL');
  expect(redis.isRunning()).toBe(false);
  await expect(redis.command('GET', 'study')).rejects.toThrow();
  await redis.restart();
  expect(await redis.command('GET', 'study')).toBe('kept');
});

test('rejects clients without the password', async () => {
  await using redis = await startRedis({ password: 'pass word/1' });
  expect(await redis.command('PING')).toBe('PONG');
  await expect(redisCommand(`redis://127.0.0.1:${redis.port}`, 'PING')).rejects.toThrow('NOAUTH');
});

test('answers again after it was stopped for a while', async () => {
  await using redis = await startRedis({ appendonly: false });
  await redis.kill('SIGSTOP');
  let isAnswered = false;
  const answer = redis.command('PING').then((text) => {
    isAnswered = true;
    return text;
  });
  expect(isAnswered).toBe(false);
  await redis.kill('SIGCONT');
  expect(await answer).toBe('PONG');
});
