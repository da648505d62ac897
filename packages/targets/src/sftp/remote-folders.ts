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

/** Removes temporary files of earlier attempts of this delivery, and abandoned ones, from one folder. */
export async function removeLeftOvers(
  session: SftpSession,
  relative: string,
  deliveryId: string,
  signal: AbortSignal,
): Promise<number> {
  const folder = posix.join(session.config.path, relative);
  if (!(await session.statIfThere(folder, signal))) return 0;
  let removed = 0;
  for (const { name, modifyTime } of await session.list(folder, signal)) {
    const kind = leftOverKind(name, deliveryId);
    if (!kind || (kind === 'old' && !isAbandoned(modifyTime))) continue;
    await session.remove(posix.join(folder, name), signal);
    removed += 1;
  }
  return removed;
}
