import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import type { Config } from '@dicom-dispatch/core';
import { appliedWords, restoreVersion } from '@dicom-dispatch/operations';
import { judgeText, unifiedDiff, type ConfigurationStore, type ConfigVersion } from '@dicom-dispatch/runtime';
import { CommandError, exitCodes } from '../exit.ts';
import { withStore } from '../read-config.ts';
import { formatTable } from './print-table.ts';
import { openSystem, type System } from './with-system.ts';

/** Lists the versions of a configuration, the newest first. */
export async function showHistory(options: {
  readonly config: string;
  readonly json?: boolean;
  readonly limit: number;
}) {
  const versions = await withStore(options.config, (store) => store.versions.list(options.limit));
  if (options.json === true) return void console.log(JSON.stringify(versions, undefined, 2));
  if (versions.length === 0) return void console.log('no version yet: the first is stored when the services start');
  const rows = versions.map(({ number, at, author, reason }) => [
    String(number),
    new Date(at).toISOString(),
    author,
    reason,
  ]);
  console.log(formatTable(['version', 'in use from', 'author', 'reason'], rows));
}

/** Prints the differences between two versions; without numbers, between the newest version and the file. */
export async function showDifference(
  from: number | undefined,
  to: number | undefined,
  options: { readonly config: string },
) {
  await withStore(options.config, async (store) => {
    const [before, after] = await Promise.all([
      from === undefined ? newestText(store) : textOf(store, from),
      to === undefined ? store.current.read().then(({ text }) => text) : textOf(store, to),
    ]);
    process.stdout.write(unifiedDiff(store.current.fileName, before, after));
  });
}

/** Applies a former version in all services; if Redis does not respond, it is written to the file, for their next start. */
export async function restoreNow(number: number, options: { readonly config: string; readonly reason?: string }) {
  await withStore(options.config, async (store) => {
    const version = await need(store, number);
    const reason = options.reason ?? `version ${number} restored`;
    const checked = await store.check(version.text);
    let system: (System & { close(): Promise<void> }) | undefined;
    try {
      system = await openSystem((await configInUse(store)) ?? checked);
    } catch (error) {
      if (!(error instanceof CommandError) || error.exitCode !== exitCodes.unreachable) throw error;
      await restoreAtRest(store, version, reason);
      console.log(`version ${number} is in the file; no service was notified: ${error.message}`);
      console.log('running services use it after "dispatch reload" or a restart');
      return;
    }
    try {
      const context = { ...system.operations, store };
      const wish = { actor: system.actor, reason };
      const done = await system.audited({ action: 'restore configuration', subject: String(number) }, () =>
        restoreVersion(context, number, wish),
      );
      for (const line of appliedWords(done)) console.log(line);
    } finally {
      await system.close();
    }
  });
}

/**
 * The configuration in use, to find the Redis of the services: the newest readable version; a manually edited file may not
 * be in use.
 */
async function configInUse(store: ConfigurationStore): Promise<Config | undefined> {
  for (const text of [await newestText(store), (await store.current.read()).text]) {
    const { config } = await judgeText(store, text);
    if (config) return config;
  }
  return undefined;
}

async function restoreAtRest(
  { current, versions }: ConfigurationStore,
  version: ConfigVersion,
  reason: string,
): Promise<void> {
  const id = randomBytes(8).toString('hex');
  const before = await current.read();
  await versions.add({ ...before, author: 'the file', reason: 'as it was before a change' });
  const note = { author: `${userInfo().username} (command line)`, reason };
  await current.offer(id, version.text);
  try {
    if (!(await current.commit(id, before.digest, note)))
      throw new CommandError('the file was edited at the same moment: nothing was changed', exitCodes.failed);
  } finally {
    await current.withdraw(id);
  }
  try {
    await versions.add({ text: version.text, ...note });
  } catch (error) {
    console.log(`! the new version could not be stored in ${versions.title} (${(error as Error).message})`);
  }
}

async function need({ versions }: ConfigurationStore, number: number): Promise<ConfigVersion> {
  const version = await versions.read(number);
  if (version) return version;
  throw new CommandError(
    `there is no version ${number}: "dispatch config history" lists the versions`,
    exitCodes.notFound,
  );
}

async function textOf(store: ConfigurationStore, number: number): Promise<string> {
  return (await need(store, number)).text;
}

async function newestText({ versions }: ConfigurationStore): Promise<string> {
  return (await versions.newest())?.text ?? '';
}
