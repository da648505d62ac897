import { writeFile } from 'node:fs/promises';
import { targetOptions, type TargetSchema } from '@dicom-dispatch/core';
import { startRedis, tempFolder, waitFor } from '@dicom-dispatch/harness';
import { expect, it } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../logging/create-logger.ts';
import type { RunningService } from '../process/dependency.ts';
import { connectRedis } from '../redis/connect-redis.ts';
import { openFileStore } from '../store/configuration-store.ts';
import type { ProcessNotes } from '../watch/watch-redis.ts';
import { keepConfiguration } from './keep-configuration.ts';

const targetSchemas = [z.strictObject({ type: z.literal('dummy'), ...targetOptions })] as unknown as TargetSchema[];

/** A keeper of a file with one service, and what it notes about its process. */
async function startKeeper(compareMs?: number) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis({ appendonly: false }));
  const folder = stack.use(await tempFolder('keeper'));
  const path = `${folder.path}/dispatch.yaml`;
  const write = (port: number) =>
    writeFile(path, `sources: { main: { url: http://127.0.0.1:${port} } }\ntargets: { a: { type: dummy } }\n`);
  await write(1);
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis(server.url, 'test', log);
  stack.defer(() => redis.disconnect());
  const store = openFileStore(path, { targetSchemas, env: {} });
  const notes: ProcessNotes[] = [];
  const broken = { is: false };
  const service: RunningService = {
    name: 'router',
    dependencies: async () => [],
    stop: async () => {},
    async reload() {
      if (broken.is) throw new Error('it cannot be used');
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
    ...(compareMs !== undefined && { compareMs }),
  });
  stack.defer(() => keeper.stop());
  // A keeper that has just subscribed reads the file once more.
  await waitFor(() => notes.some((one) => 'configurationRefusedAt' in one));
  const last = (name: keyof ProcessNotes) => notes.findLast((one) => name in one)?.[name];
  return { keeper, path, write, broken, notes, last, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

it('notes since when the newest configuration is refused, until it is in use', async () => {
  await using scene = await startKeeper();
  const { keeper, path, write, broken, last } = scene;
  const reload = async () => {
    const { outcome } = await keeper.reload('a test');
    return { outcome, since: last('configurationRefusedAt') };
  };
  await writeFile(path, 'sources: [');
  const first = await reload();
  expect(first).toEqual({ outcome: 'refused', since: expect.any(Number) });
  expect(await reload()).toEqual(first);
  // The former content: it is in use.
  await write(1);
  expect(await reload()).toEqual({ outcome: 'unchanged', since: undefined });
  await write(2);
  broken.is = true;
  expect(await reload()).toEqual({ outcome: 'refused', since: expect.any(Number) });
  broken.is = false;
  expect((await reload()).since).toBeUndefined();
});

it('notes since when its file has another configuration that nobody has loaded', async () => {
  await using scene = await startKeeper(20);
  const { keeper, path, write, notes, last } = scene;
  const untilNoted = (is: boolean) => waitFor(() => (last('configurationDiffersAt') !== undefined) === is);
  await write(2);
  await untilNoted(true);
  const since = last('configurationDiffersAt');
  await writeFile(path, 'sources: [');
  const count = notes.length;
  await waitFor(() => notes.length > count + 1);
  expect(last('configurationDiffersAt')).toBe(since);
  // The former content: it is in use.
  await write(1);
  await untilNoted(false);
  await write(2);
  await untilNoted(true);
  expect(await keeper.reload('a test')).toMatchObject({ outcome: 'applied' });
  expect(last('configurationDiffersAt')).toBeUndefined();
});
