import { isLocalFolder } from './is-local-folder.ts';

/** A file in the page cache takes a few microseconds. */
const slowMs = 2;
/** Pause after a slow read: on a slow disk at most one read in this time blocks the process. */
const pauseMs = 1_000;
/** Maximum duration of all blocking reads in one period; the last one may exceed it. */
const maxBlockedMs = 100;
const periodMs = 1_000;

/**
 * Whether small files of a folder are read by blocking calls. These take a third of the CPU time of calls that are passed to
 * file system threads, but nothing else runs meanwhile. So they are used only for local file systems, since a share that hangs
 * would stop the process, and not while the disk is slow: not for a second after a read of more than 2 ms, nor for the rest of a
 * second in which they took more than 100 ms.
 *
 * Only the file system of the folder itself is checked, not one that is mounted below it, nor the one beneath an overlayfs. A disk
 * that hangs stops the process; another dispatcher takes over its deliveries. `storageFolder: false` avoids this.
 */
export class BlockingReads {
  readonly #isLocal: boolean;
  readonly #now: () => number;
  #notBefore = 0;
  #periodBegan = Number.NEGATIVE_INFINITY;
  /** Duration of the blocking reads in this period. */
  #blockedMs = 0;

  constructor(isLocal: boolean, now: () => number = () => performance.now()) {
    this.#isLocal = isLocal;
    this.#now = now;
  }

  /** @throws the error of the file system when the folder cannot be read */
  static async of(folder: string): Promise<BlockingReads> {
    return new BlockingReads(await isLocalFolder(folder));
  }

  get areAllowed(): boolean {
    return this.#isLocal && this.#now() >= this.#notBefore;
  }

  /** Reads with blocking calls, and measures how long they take. */
  run<T>(read: () => T): T {
    const begun = this.#now();
    if (begun - this.#periodBegan >= periodMs) {
      this.#periodBegan = begun;
      this.#blockedMs = 0;
    }
    try {
      return read();
    } finally {
      const ended = this.#now();
      this.#blockedMs += ended - begun;
      if (ended - begun > slowMs) this.#notBefore = ended + pauseMs;
      else if (this.#blockedMs > maxBlockedMs) this.#notBefore = this.#periodBegan + periodMs;
    }
  }
}
