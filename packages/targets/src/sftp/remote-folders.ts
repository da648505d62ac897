import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { isAbandoned, leftOverKind } from '../template/index.ts';
import { isFailure } from './errors.ts';
import type { SftpSession } from './session.ts';

/** Makes the folders of a layout as they are needed, each once a run; folders that are there are fine. */
export class RemoteFolders {
  readonly #session: SftpSession;
  readonly #signal: AbortSignal;
  readonly #made = new Map<string, Promise<void>>();

  constructor(session: SftpSession, signal: AbortSignal) {
    this.#session = session;
    this.#signal = signal;
  }

  /** The path is relative, `.` is the target's folder itself. */
  ensure(relative: string): Promise<void> {
    if (relative === '.') return Promise.resolve();
    let making = this.#made.get(relative);
    if (!making) {
      making = this.#make(relative);
      // Whoever waits for it hears of its failure; the map alone does not.
      making.catch(() => {});
      this.#made.set(relative, making);
    }
    return making;
  }

  async #make(relative: string): Promise<void> {
    const { config } = this.#session;
    const path = posix.join(config.path, relative);
    const found = await this.#session.statIfThere(path, this.#signal);
    if (found) return assertFolder(found, config.host);
    await this.ensure(posix.dirname(relative));
    try {
      await this.#session.makeFolder(path, config.directoryMode, this.#signal);
    } catch (thrown) {
      // Somebody else was quicker: version 3 calls that "Failure".
      if (!(thrown instanceof DispatchError) || !isFailure(thrown.cause)) throw thrown;
      const there = await this.#session.statIfThere(path, this.#signal);
      if (!there) throw thrown;
      return assertFolder(there, config.host);
    }
    // The server's umask has taken bits away.
    if (config.directoryMode !== undefined) await this.#session.setMode(path, config.directoryMode, this.#signal);
  }
}

function assertFolder(found: { isDirectory(): boolean }, host: string): void {
  if (found.isDirectory()) return;
  throw new DispatchError('target-misconfigured', `a file is at ${host} where a folder should be`, {
    remedy: 'Remove the file, or change the path or layout of the target.',
  });
}

/** What was in a folder before anything was written to it. */
export interface Found {
  /** Those of the names asked for that are there. */
  readonly there: ReadonlySet<string>;
  readonly removed: number;
}

/**
 * Looks into one folder, once for all files: removes temporary files of earlier attempts of this delivery, and abandoned
 * ones, and tells which of the names are taken.
 */
export async function lookIntoFolder(
  session: SftpSession,
  relative: string,
  names: ReadonlySet<string>,
  deliveryId: string,
  signal: AbortSignal,
): Promise<Found> {
  const folder = posix.join(session.config.path, relative);
  const there = new Set<string>();
  let removed = 0;
  for await (const portion of session.list(folder, signal)) {
    for (const { name, modifiedMs } of portion) {
      if (names.has(name)) there.add(name);
      const kind = leftOverKind(name, deliveryId);
      if (!kind || (kind === 'old' && !isAbandoned(modifiedMs))) continue;
      await session.remove(posix.join(folder, name), signal);
      removed += 1;
    }
  }
  return { there, removed };
}
