import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { isAbandoned, leftOverKind } from '../template/index.ts';
import { hasStatus, isFailure, isNoSuchFile, isRefused } from './errors.ts';
import type { SftpSession } from './session.ts';

/** Creates the folders of a layout as needed, each once per run; existing folders are used. */
export class RemoteFolders {
  readonly #session: SftpSession;
  readonly #signal: AbortSignal;
  readonly #made = new Map<string, Promise<void>>();

  constructor(session: SftpSession, signal: AbortSignal) {
    this.#session = session;
    this.#signal = signal;
  }

  /**
   * The path is relative, `.` is the target's folder itself.
   *
   * @throws FolderRefused, NotAFolder, DispatchError
   */
  ensure(relative: string): Promise<void> {
    if (relative === '.') return Promise.resolve();
    let making = this.#made.get(relative);
    if (!making) {
      making = this.#make(relative);
      // Callers get its error; the map itself must not leave an unhandled rejection.
      making.catch(() => {});
      this.#made.set(relative, making);
    }
    return making;
  }

  /** Forgets a folder that was removed: the next use creates it again. */
  forget(relative: string): void {
    this.#made.delete(relative);
  }

  async #make(relative: string): Promise<void> {
    const { config } = this.#session;
    const path = posix.join(config.path, relative);
    if ((await this.#isThere(path)) === 'yes') return;
    await this.ensure(posix.dirname(relative));
    try {
      await this.#session.makeFolder(path, config.directoryMode, this.#signal);
    } catch (thrown) {
      if (!(thrown instanceof DispatchError)) throw thrown;
      if (isRefused(thrown.cause)) throw new FolderRefused(thrown);
      // Another client has created it in the meantime: version 3 reports "Failure".
      if (!isFailure(thrown.cause)) throw thrown;
      // If this is unknown, creating files in the folder shows it.
      if ((await this.#isThere(path)) !== 'no') return;
      throw thrown;
    }
    if (config.directoryMode === undefined) return;
    try {
      // The server's umask has removed bits.
      await this.#session.setMode(path, config.directoryMode, this.#signal);
    } catch (thrown) {
      // The next attempt would use the folder with the wrong mode.
      await this.#session.removeFolder(path, AbortSignal.timeout(500)).catch(() => {});
      throw thrown;
    }
  }

  /** A link may lead to a folder, which only listing shows. */
  async #isThere(path: string): Promise<'yes' | 'no' | 'unknown'> {
    const found = await this.#session.lookAt(path, this.#signal);
    if (found === undefined) return 'no';
    if (found !== 'refused' && found.kind === 'folder') return 'yes';
    if (found !== 'refused' && found.kind !== 'link') throw new NotAFolder();
    try {
      await this.#session.tryListing(path, this.#signal);
      return 'yes';
    } catch (thrown) {
      if (!(thrown instanceof DispatchError)) throw thrown;
      if (found === 'refused') return isNoSuchFile(thrown.cause) ? 'no' : 'unknown';
      throw new NotAFolder();
    }
  }
}

/** Other content has the path of a folder. */
export class NotAFolder extends Error {
  override readonly name = 'NotAFolder';
}

/** The server does not allow creating a folder. */
export class FolderRefused extends Error {
  override readonly name = 'FolderRefused';
  override readonly cause: DispatchError;

  constructor(cause: DispatchError) {
    super(cause.message);
    this.cause = cause;
  }
}

/** Content of a folder before a file was written to it. */
export interface Found {
  /** Those of the requested names that exist. */
  readonly there: ReadonlySet<string>;
  /** Number of temporary files that were removed. */
  readonly removed: number;
}

/**
 * Lists one folder, once for all files: removes temporary files of earlier attempts of this delivery, and abandoned
 * ones, and returns which of the names are taken.
 */
export async function lookIntoFolder(
  session: SftpSession,
  relative: string,
  names: ReadonlySet<string>,
  deliveryId: string,
  signal: AbortSignal,
): Promise<Found> {
  const folder = posix.join(session.config.path, relative);
  const form = session.config.temporaryName;
  const there = new Set<string>();
  let count = 0;
  for await (const portion of session.list(folder, signal)) {
    for (const { name, modifiedMs } of portion) {
      if (names.has(name)) there.add(name);
      const kind = leftOverKind(name, deliveryId, form);
      if (!kind || (kind === 'old' && !isAbandoned(modifiedMs))) continue;
      if (await removed(session, posix.join(folder, name), signal)) count += 1;
    }
  }
  return { there, removed: count };
}

/** @returns false if the server rejects it: the file belongs to another user, or no longer exists */
async function removed(session: SftpSession, path: string, signal: AbortSignal): Promise<boolean> {
  try {
    await session.remove(path, signal);
    return true;
  } catch (thrown) {
    if (thrown instanceof DispatchError && hasStatus(thrown.cause)) return false;
    throw thrown;
  }
}
