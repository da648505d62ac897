import { access } from 'node:fs/promises';
import { isLoopback } from '@dicom-dispatch/core';
import { createLogger, needEmbeddedRedis, parseListen, type ConfigurationStore } from '@dicom-dispatch/runtime';

export interface FirstStart {
  /** Where the page listens; default that of the console. */
  readonly listen?: string | undefined;
}

/**
 * Serves the page that makes the configuration file, where there is none, until somebody has filled it in.
 *
 * @returns whether there is a file now; false when it was told to end before
 * @throws ConsoleError when the page cannot be served, EmbeddedRedisError when the services could not start after it
 */
export async function makeFirstConfig(
  store: ConfigurationStore,
  { listen = '127.0.0.1:8080' }: FirstStart,
  signal: AbortSignal,
): Promise<boolean> {
  if (await isThere(store.file.path)) return true;
  await needEmbeddedRedis();
  const { startSetup } = await import('@dicom-dispatch/console/setup');
  const log = createLogger('setup', { level: 'info', format: 'auto' });
  const setup = await startSetup({ store, listen, log });
  console.log(`There is no configuration yet (${store.file.path}). This page makes it:\n\n    ${setup.link}\n`);
  console.log(
    'The link lets one browser in. Ctrl-C ends it; before the last step nothing is written but the key file of secrets.',
  );
  if (!isLoopback(parseListen(listen).host))
    console.log('From another machine, put the name of this one in the place of the host.');
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
