import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { isLoopback } from '@dicom-dispatch/core';
import { createLogger, needEmbeddedRedis, parseListen } from '@dicom-dispatch/runtime';
import { connectNow, openConfiguration } from './read-config.ts';

export interface FirstStart {
  /** Listening address of the page; default that of the console. */
  readonly listen?: string | undefined;
}

/**
 * Serves the page that creates a missing configuration file, until it is completed.
 *
 * @returns whether the file exists now; false if it was stopped before
 * @throws ConsoleError if the page cannot be served, EmbeddedRedisError if the services could not start after it
 */
export async function makeFirstConfig(
  file: string,
  { listen = '127.0.0.1:8080' }: FirstStart,
  signal: AbortSignal,
): Promise<boolean> {
  if (await isThere(resolve(file))) return true;
  const store = await openConfiguration(file, { connect: ({ redis }) => connectNow(redis) });
  await needEmbeddedRedis();
  const { startSetup } = await import('@dicom-dispatch/console/setup');
  const log = createLogger('setup', { level: 'info', format: 'auto' });
  const setup = await startSetup({ store, listen, log });
  console.log(`There is no configuration yet (${store.path}). Create it on this page:\n\n    ${setup.link}\n`);
  console.log(
    'The link works in one browser. Ctrl-C stops the page. Before the last step only the key file of the secrets is written.',
  );
  if (!isLoopback(parseListen(listen).host))
    console.log('From another host, replace the host in the link by the name of this host.');
  try {
    return await Promise.race([setup.written.then(() => true), aborted(signal).then(() => false)]);
  } finally {
    await setup.stop();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
