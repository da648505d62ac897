import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { formatBytes, formatDuration } from '@dicom-dispatch/core';
import { listSources } from '@dicom-dispatch/console/views';
import {
  BackupFileError,
  checkBackup,
  makeBackup,
  restoreBackup,
  restoreConfiguration,
  type BackupCounts,
  type VersionName,
} from '@dicom-dispatch/operations/backup';
import { findEmbeddedRedis, namesRedis, startEmbeddedRedis, type EmbeddedRedis } from '@dicom-dispatch/runtime';
import manifest from '../../package.json' with { type: 'json' };
import { CommandError, exitCodes } from '../exit.ts';
import { readConfig, withStore } from '../read-config.ts';
import { confirm } from './confirm.ts';
import { damagedWords } from './damaged-words.ts';
import { untilInterrupted } from './until-interrupted.ts';
import { openSystem, withSystem, type System } from './with-system.ts';

export interface BackupCommandOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly check?: boolean;
}

export interface RestoreCommandOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly replace?: boolean;
  readonly yes?: boolean;
}

export async function backupNow(file: string, options: BackupCommandOptions): Promise<void> {
  const path = resolve(file);
  if (options.check === true) {
    const found = await ofFile(path, () => checkBackup(path));
    const { size } = await stat(path);
    print(options, { ...found, bytes: size }, `${path} is complete: ${words({ ...found, bytes: size })}`);
    return;
  }
  await withSystem(options.config, async (system) => {
    const made = await untilInterrupted('stopped; no file was written', (signal) =>
      ofFile(path, () =>
        makeBackup(system.operations, path, { version: manifest.version, onProgress: showProgress, signal }),
      ),
    );
    // A Redis that no longer accepts writes can also be backed up.
    await system.audited({ action: 'backup', subject: path }, async () => {}).catch(() => {});
    print(options, made, `written to ${path}: ${words(made)}${damagedWords(made.damaged)}`);
  });
}

/** Restores a backup, and lists what it does not contain. */
export async function restoreNow(file: string, options: RestoreCommandOptions): Promise<void> {
  const path = resolve(file);
  const { replace = false } = options;
  if (replace && options.yes !== true) await confirm('this removes all data under redis.prefix from Redis');
  await bringConfiguration(path, options.config);
  await withRedisAlone(options.config, async (system) => {
    const restored = await ofFile(path, () =>
      restoreBackup(system.operations, path, { replace, onProgress: showProgress }),
    );
    await system.audited({ action: 'restore', subject: path }, async () => {});
    const sources = (await listSources(system)).map(({ name, lag, detail, reachable, position }) => ({
      name,
      position,
      changesSince: reachable ? lag : undefined,
      detail,
    }));
    const { studies, deliveries, madeAt, kept, damaged } = restored;
    const lines = [
      `restored: ${words(restored)}${damagedWords(damaged)}`,
      ...(kept === undefined
        ? []
        : [
            `The configuration in Redis (${versionWords(kept.inRedis)}) stays; that of the backup (${versionWords(kept.ofBackup)}) was not restored: it is with --replace.`,
          ]),
      '',
      `Changes after ${new Date(madeAt).toISOString()} are not in the backup. When the services start, nothing is sent until a router has completed`,
      'the data from its notes (redis.notesFolder): deliveries that are noted as arrived are not sent again. Without notes each source',
      'continues where the backup ends: nothing is lost, and studies that arrived since then are sent again.',
      ...sources.map(({ name, position, changesSince, detail }) =>
        changesSince === undefined
          ? `  source ${name}: followed to change ${position ?? 'none'}; the number of changes since then is unknown (${detail})`
          : `  source ${name}: ${position === undefined ? 'was not followed' : `${changesSince} changes since`}`,
      ),
      '',
      'Now start the services, a router first. Then: dispatch recover; dispatch status --check',
    ];
    print(
      options,
      { madeAt, studies, deliveries, sources, damaged, keptConfiguration: kept?.inRedis },
      lines.join('\n'),
    );
  });
}

/**
 * With `configuration: redis`, a Redis without a configuration first gets that of the backup, which the restore requires.
 */
async function bringConfiguration(path: string, file: string): Promise<void> {
  await withStore(file, async (store) => {
    if (store.current.kind === 'file' || (await store.current.isThere())) return;
    const system = await openSystem(await store.own());
    try {
      await ofFile(path, () => restoreConfiguration(system.operations, path));
    } finally {
      await system.close();
    }
  });
}

/** Runs a function with a Redis that no service uses: an embedded one is started for it. */
async function withRedisAlone<T>(file: string, act: (system: System) => Promise<T>): Promise<T> {
  const config = await readConfig(file);
  const { dataFolder } = config.redis;
  let own: EmbeddedRedis | undefined;
  if (!namesRedis(config.redis) && (await findEmbeddedRedis(dataFolder)) === undefined) {
    own = await startEmbeddedRedis(dataFolder);
  }
  try {
    const system = await openSystem(config);
    try {
      return await act(system);
    } finally {
      await system.close();
    }
  } finally {
    await own?.stop();
  }
}

/** When progress was shown last; 0: never. */
let shownAt = 0;

/** Reports which file cannot be read or written, and the remedy. */
async function ofFile<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    if (error instanceof BackupFileError) {
      throw new CommandError(`${path} cannot be restored: ${error.message}`, exitCodes.failed, { cause: error });
    }
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (code !== undefined && syscall !== undefined) {
      throw new CommandError(
        `${path} cannot be used (${code}): ${remedies[code] ?? 'check the file and its folder'}`,
        exitCodes.failed,
        {
          cause: error,
        },
      );
    }
    if (error instanceof Error && error.name === 'ReplyError') {
      throw new CommandError(
        `Redis rejected it (${error.message.slice(0, 200)}): correct the cause, then run the same command again`,
        exitCodes.failed,
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}

const remedies: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EACCES: 'give the current user permission for it',
  ENOSPC: 'its disk is full; free space, or use a file on another disk',
  EISDIR: 'it is a folder; give the name of a file in it',
};

function words(facts: BackupCounts & { readonly madeAt: number; readonly bytes?: number }): string {
  const { studies, deliveries, madeAt, bytes } = facts;
  const states = Object.entries(deliveries).map(([state, count]) => `${count} ${state}`);
  return [
    `the state of ${new Date(madeAt).toISOString()} (${formatDuration(Math.max(0, Date.now() - madeAt))} ago)`,
    `${studies} studies`,
    states.length > 0 ? `deliveries: ${states.join(', ')}` : 'no deliveries',
    ...(bytes === undefined ? [] : [formatBytes(bytes)]),
  ].join('; ');
}

function versionWords({ number, at }: VersionName): string {
  const time = new Date(at);
  return `version ${number}${Number.isNaN(time.getTime()) ? '' : ` of ${time.toISOString()}`}`;
}

function print(options: { readonly json?: boolean }, facts: object, text: string): void {
  if (shownAt > 0) process.stderr.write('\n');
  console.log(options.json === true ? JSON.stringify(facts) : text);
}

/** On a terminal, at most once a second. */
function showProgress(studies: number): void {
  if (!process.stderr.isTTY || performance.now() - shownAt < 1_000) return;
  shownAt = performance.now();
  process.stderr.write(`\r${studies.toLocaleString('en-GB')} studies`);
}
