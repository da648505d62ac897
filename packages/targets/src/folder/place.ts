import { stat, statfs } from 'node:fs/promises';
import { DispatchError, formatBytes, type Stage } from '@dicom-dispatch/core';
import { within } from '../flow/index.ts';
import { silentFolder, translateFsError } from './errors.ts';
import type { FolderTarget } from './schema.ts';

/** The folder of a target in use: each operation on it is limited in time and its errors are translated. */
export interface Place {
  readonly config: FolderTarget;
  readonly signal: AbortSignal;
  /** Runs one operation; `doing` is a verb with -ing for the error. */
  act<T>(doing: string, operation: () => Promise<T>, discard?: (late: T) => void): Promise<T>;
}

export function placeOf(config: FolderTarget, signal: AbortSignal, stage?: Stage): Place {
  return {
    config,
    signal,
    async act(doing, operation, discard) {
      const limit = {
        timeoutMs: config.timeout,
        signal,
        onTimeout: () => silentFolder(config.path, config.timeout, doing),
      };
      try {
        return await within(operation(), limit, discard);
      } catch (thrown) {
        throw translateFsError(thrown, config.path, doing, stage);
      }
    },
  };
}

/** @throws {DispatchError} when the folder is not there, or is none */
export async function lookAtFolder(place: Place): Promise<void> {
  const { path } = place.config;
  const found = await place.act('Looking for the folder', () => stat(path));
  if (found.isDirectory()) return;
  throw new DispatchError('target-misconfigured', `${path} is not a folder`, {
    stage: 'connect',
    remedy: 'Correct the path of the target.',
  });
}

/**
 * @returns bytes that are free for us
 * @throws {DispatchError} `target-full` when less is left than `minFree` after so many bytes more
 */
export async function lookForSpace(place: Place, neededBytes: number): Promise<number> {
  const { path, minFree } = place.config;
  const { bavail, bsize } = await place.act('Asking for free space', () => statfs(path));
  const freeBytes = bavail * bsize;
  if (freeBytes - neededBytes >= minFree) return freeBytes;
  const needed = neededBytes > 0 ? `, ${formatBytes(neededBytes)} are to be written` : '';
  throw new DispatchError(
    'target-full',
    `${formatBytes(freeBytes)} are free in ${path}${needed}, and ${formatBytes(minFree)} have to stay free`,
    { remedy: 'Free space in the folder, or lower minFree.' },
  );
}
