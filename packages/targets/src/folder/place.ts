import { access, constants, statfs } from 'node:fs/promises';
import { DispatchError, formatBytes, type Stage } from '@dicom-dispatch/core';
import { within } from '@dicom-dispatch/target-kit/flow';
import { silentFolder, translateFsError } from './errors.ts';
import type { Folders } from './folders.ts';
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

/** @throws {DispatchError} if the folder does not exist, is not a folder, or is not writable */
export async function lookAtFolder(place: Place, folders: Folders): Promise<void> {
  const wanted = constants.R_OK | constants.W_OK | constants.X_OK;
  await folders.within('.', ({ base }) =>
    place.act('Reading, writing and searching', () => access(`${base}/.`, wanted)),
  );
}

/**
 * @returns bytes that are available to the dispatcher
 * @throws {DispatchError} `target-full` if this many additional bytes would leave less than `minFree`
 */
export async function lookForSpace(place: Place, folders: Folders, neededBytes: number): Promise<number> {
  const { path, minFree } = place.config;
  const { bavail, bsize } = await folders.within('.', ({ base }) =>
    place.act('Reading the free space', () => statfs(`${base}/.`)),
  );
  const freeBytes = bavail * bsize;
  if (freeBytes - neededBytes >= minFree) return freeBytes;
  const needed = neededBytes > 0 ? `, ${formatBytes(neededBytes)} are required` : '';
  throw new DispatchError(
    'target-full',
    `${formatBytes(freeBytes)} are free in ${path}${needed}, and ${formatBytes(minFree)} must stay free`,
    { remedy: 'Free space in the folder, or lower minFree.' },
  );
}
