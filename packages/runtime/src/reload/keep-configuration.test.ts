import { writeFile } from 'node:fs/promises';
import { targetOptions, type TargetSchema } from '@dicom-dispatch/core';
import { startRedis, tempFolder } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../logging/create-logger.ts';
import type { RunningService } from '../process/dependency.ts';
import { connectRedis } from '../redis/connect-redis.ts';
import { openFileStore } from '../store/configuration-store.ts';
import type { ProcessNotes } from '../watch/watch-redis.ts';
import { keepConfiguration } from './keep-configuration.ts';

const targetSchemas = [z.strictObject({ type: z.literal('dummy'), ...targetOptions })] as unknown as TargetSchema[];

it('notes since when the newest configuration is refused, until it is in use', async () => {
  await using server = await startRedis({ appendonly: false });
  await using folder = await tempFolder('keeper');
  const path = `${folder.path}/dispatch.yaml`;
  const write = (port: number) =>
    writeFile(path, `sources: { main: { url: http://127.0.0.1:${port} } }\ntargets: { a: { type: dummy } }\n`);
  await write(1);
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis(server.url, 'test', log);
  const store = openFileStore(path, { targetSchemas, env: {} });
  const notes: ProcessNotes[] = [];
  let isBroken = false;
  const service: RunningService = {
    name: 'router',
    dependencies: async () => [],
    stop: async () => {},
    async reload() {
      if (isBroken) throw new Error('it cannot be used');
    },
  };
  const keeper = keepConfiguration({
    store,
    config: await store.load(),
    services: () => [service],
    applied: () => {},
    redis,
    log,
    watch: { listen: () => () => {}, note: (one) => void notes.push(one) },
  });
  const reload = async () => {
    const { outcome } = await keeper.reload('a test');
    return { outcome, since: notes.at(-1)?.configurationRefusedAt };
  };

  await writeFile(path, 'sources: [');
  const first = await reload();
  expect(first).toEqual({ outcome: 'refused', since: expect.any(Number) });
  expect(await reload()).toEqual(first);
  // The former content: it is in use.
  await write(1);
  expect(await reload()).toEqual({ outcome: 'unchanged', since: undefined });
  await write(2);
  isBroken = true;
  expect(await reload()).toEqual({ outcome: 'refused', since: expect.any(Number) });
  isBroken = false;
  expect((await reload()).since).toBeUndefined();
  await keeper.stop();
  redis.disconnect();
});
