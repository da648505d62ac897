import { freePort, startRedis, waitFor } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import type { Logger } from '../logging/create-logger.ts';
import { connectRedis } from './connect-redis.ts';
import { reportUnusable } from './report-unusable.ts';

it('logs again and again that a Redis is a replica, until it is the master', async () => {
  const nobody = await freePort();
  await using server = await startRedis({ appendonly: false, args: ['--replicaof', '127.0.0.1', String(nobody)] });
  const lines: string[] = [];
  const log = {
    warn: ({ reason }: { reason: string }) => void lines.push(reason),
    error: () => {},
    info: () => {},
  } as unknown as Logger;
  const redis = connectRedis(server.url, 'test', log);
  const ended = new AbortController();
  const reporting = reportUnusable(redis, log, ended.signal, 1);
  await waitFor(async () => lines.length > 2);
  expect(new Set(lines)).toEqual(
    new Set([
      `this Redis is a replica whose master 127.0.0.1:${nobody} does not answer: start the master, or make this Redis the master with REPLICAOF NO ONE`,
    ]),
  );
  ended.abort();
  await reporting;
  redis.disconnect();
});
