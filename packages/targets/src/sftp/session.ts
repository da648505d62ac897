import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import type SftpClient from 'ssh2-sftp-client';
import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { ProgressFloor, until } from '@dicom-dispatch/target-kit/flow';
import { connectSftp, type Connection } from './connect.ts';
import { hasStatus, isNoSuchFile, isRefused, translateSftpError } from './errors.ts';
import { kindOf, type Found, type ListedFile } from './found.ts';
import type { SftpTarget } from './schema.ts';

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** Status 1 (EOF): end of the file or list. */
const endOfFile = 1;

/** Every server accepts writes of this size; with their header they fit into one packet of a channel (32 KiB). */
const smallestWriteBytes = 32_768 - 64;
const largestWriteBytes = 255 * 1024;

/** Period for measuring progress if responses have no timeout. */
const floorWindowMs = 120_000;

/** The types of ssh2 lack the option `full`. */
interface ListsInFull {
  readdir(
    handle: Buffer,
    options: { full: true },
    done: (error: (Error & { code?: unknown }) | undefined, entries: readonly FileEntryWithStats[]) => void,
  ): void;
}

/**
 * An open SFTP session. Each request has a timeout, ends when the connection is lost, and has its errors translated. The class uses
 * ssh2-sftp-client or its underlying session; docs/decisions/0007-sftp-by-ssh2-sftp-client.md explains which and why.
 */
export class SftpSession {
  readonly config: SftpTarget;
  readonly #connection: Connection;
  readonly #stage: Stage | undefined;
  readonly #floor: ProgressFloor;
  readonly #ended: AbortSignal;

  static async open(config: SftpTarget, signal: AbortSignal): Promise<SftpSession> {
    return new SftpSession(config, await connectSftp(config, signal));
  }

  /** @param stage - the stage of its errors, if this is not the stage of the run */
  constructor(config: SftpTarget, connection: Connection, stage?: Stage) {
    this.config = config;
    this.#connection = connection;
    this.#stage = stage;
    const { host, timeout, minBytesPerSecond } = config;
    const timedOut = new AbortController();
    const giveUp = (reason: string) => () => timedOut.abort(new DispatchError('target-timeout', `${host} ${reason}`));
    this.#ended = AbortSignal.any([connection.lost, timedOut.signal]);
    this.#floor = new ProgressFloor({
      minBytesPerSecond,
      // Twice the timeout of one response: two slow responses within their timeouts are allowed.
      windowMs: timeout === 0 ? floorWindowMs : 2 * timeout,
      silenceMs: timeout,
      onSlow: giveUp('is slower than minBytesPerSecond'),
      onSilent: giveUp(`did not answer for ${timeout / 1000} s`),
    });
  }

  /** Algorithms of the connection that are no longer safe. */
  get oldAlgorithms(): readonly string[] {
    return this.#connection.oldAlgorithms;
  }

  /** Whether the server is OpenSSH. */
  get isOpenSsh(): boolean {
    const { _isOpenSSH: isOpenSsh } = this.#connection.sftp as unknown as { readonly _isOpenSSH?: unknown };
    return isOpenSsh === true;
  }

  end(): void {
    this.#connection.end();
  }

  /** The maximum write size of the server: OpenSSH accepts 255 KiB, and responds once instead of eight times. */
  get maxWriteBytes(): number {
    // Result of limits@openssh.com, or ssh2's value for the server; ssh2 would send the rest of a larger write sequentially.
    const { _maxWriteLen: maxWriteLength } = this.#connection.sftp as unknown as { readonly _maxWriteLen?: unknown };
    if (typeof maxWriteLength !== 'number' || maxWriteLength < smallestWriteBytes) return smallestWriteBytes;
    // For unknown servers ssh2 has 34,000, which with its header is more than one packet.
    return maxWriteLength < 64 * 1024 ? smallestWriteBytes : Math.min(maxWriteLength, largestWriteBytes);
  }

  stat(path: string, signal: AbortSignal): Promise<Stats> {
    return this.#call('Checking a file', signal, (sftp, done: Done<Stats>) => sftp.stat(path, done));
  }

  /**
   * The entry at a path, without following links. If a server forbids LSTAT, STAT and then OPEN are tried.
   *
   * @returns undefined if it does not exist, `refused` if the server does not report it
   */
  async lookAt(path: string, signal: AbortSignal): Promise<Found | undefined | 'refused'> {
    for (const how of ['lstat', 'stat'] as const) {
      try {
        const found = await this.#call('Checking a file', signal, (sftp, done: Done<Stats>) => sftp[how](path, done));
        return { kind: kindOf(found), size: found.size };
      } catch (thrown) {
        if (!(thrown instanceof DispatchError)) throw thrown;
        if (isNoSuchFile(thrown.cause)) return undefined;
        if (!isRefused(thrown.cause)) throw thrown;
      }
    }
    try {
      await this.closeFile(await this.openFile(path, 'r', signal), signal);
    } catch (thrown) {
      if (thrown instanceof DispatchError && isNoSuchFile(thrown.cause)) return undefined;
      if (!(thrown instanceof DispatchError) || !hasStatus(thrown.cause)) throw thrown;
    }
    return 'refused';
  }

  /** Opens a folder for listing, without reading the list. @throws {DispatchError} */
  async tryListing(path: string, signal: AbortSignal): Promise<void> {
    const handle = await this.#call('Listing a folder', signal, (sftp, done: Done<Buffer>) => sftp.opendir(path, done));
    await this.closeFile(handle, signal);
  }

  /** Content of a folder, in the portions of the server; nothing if the folder does not exist. */
  async *list(path: string, signal: AbortSignal): AsyncGenerator<readonly ListedFile[], void, undefined> {
    let handle: Buffer;
    try {
      handle = await this.#call('Listing a folder', signal, (sftp, done: Done<Buffer>) => sftp.opendir(path, done));
    } catch (thrown) {
      if (thrown instanceof DispatchError && isNoSuchFile(thrown.cause)) return;
      throw thrown;
    }
    try {
      for (;;) {
        const portion = await this.#call(
          'Listing a folder',
          signal,
          (sftp, done: Done<readonly FileEntryWithStats[]>) =>
            // Without `full` a portion with only . and .. would look like the end.
            (sftp as unknown as ListsInFull).readdir(handle, { full: true }, (error, entries) =>
              error?.code === endOfFile ? done(undefined, []) : done(error, entries),
            ),
        );
        if (portion.length === 0) return;
        yield portion.map(({ filename, attrs }) => ({
          name: filename,
          modifiedMs: attrs.mtime * 1_000,
          kind: kindOf(attrs),
          size: attrs.size,
        }));
      }
    } finally {
      await this.closeFile(handle, signal).catch(() => {});
    }
  }

  makeFolder(path: string, mode: number | undefined, signal: AbortSignal): Promise<void> {
    return this.#call('Creating a folder', signal, (sftp, done: Done<void>) =>
      sftp.mkdir(path, mode === undefined ? {} : { mode }, (error) => done(error)),
    );
  }

  removeFolder(path: string, signal: AbortSignal): Promise<void> {
    return this.#call('Removing a folder', signal, (sftp, done: Done<void>) =>
      sftp.rmdir(path, (error) => done(error)),
    );
  }

  async setMode(path: string, mode: number, signal: AbortSignal): Promise<void> {
    await this.#ask('Setting the mode', signal, (client) => client.chmod(path, mode), {
      refused: 'Remove mode and directoryMode: the server does not allow changing them.',
    });
  }

  openFile(path: string, flags: 'r' | 'wx', signal: AbortSignal): Promise<Buffer> {
    const doing = flags === 'r' ? 'Opening a file' : 'Creating a file';
    return this.#call(doing, signal, (sftp, done: Done<Buffer>) => sftp.open(path, flags, done));
  }

  /** The bytes have been copied when this returns. */
  write(handle: Buffer, bytes: Buffer, position: number, signal: AbortSignal): Promise<void> {
    return this.#call(
      'Writing',
      signal,
      (sftp, done: Done<void>) => sftp.write(handle, bytes, 0, bytes.length, position, (error) => done(error)),
      { bytes: bytes.length },
    );
  }

  /** @returns the number of read bytes, 0 at the end */
  read(handle: Buffer, into: Buffer, position: number, signal: AbortSignal): Promise<number> {
    return this.#call(
      'Reading',
      signal,
      (sftp, done: Done<number>) =>
        sftp.read(handle, into, 0, into.length, position, (error: (Error & { code?: unknown }) | undefined, count) =>
          error?.code === endOfFile ? done(undefined, 0) : done(error, count),
        ),
      {
        bytes: into.length,
        refused:
          'Allow reading files. If that is not possible, set verify to size and existing to overwrite, which read nothing back.',
      },
    );
  }

  /** Size of an open file; undefined if the server does not report it. */
  async sizeOf(handle: Buffer, signal: AbortSignal): Promise<number | undefined> {
    try {
      const { size } = await this.#call('Checking a file', signal, (sftp, done: Done<Stats>) =>
        sftp.fstat(handle, done),
      );
      return size;
    } catch (thrown) {
      if (thrown instanceof DispatchError && isRefused(thrown.cause)) return undefined;
      throw thrown;
    }
  }

  closeFile(handle: Buffer, signal: AbortSignal): Promise<void> {
    return this.#call('Closing a file', signal, (sftp, done: Done<void>) => sftp.close(handle, (error) => done(error)));
  }

  /** Makes an open file durable (fsync), if the server supports it. */
  async sync(handle: Buffer, signal: AbortSignal): Promise<void> {
    if (!this.#offers('fsync@openssh.com')) return;
    await this.#call(
      'Syncing a file',
      signal,
      (sftp, done: Done<void>) => sftp.ext_openssh_fsync(handle, (error: Error | undefined) => done(error)),
      { refused: 'Set fsync to false: the server announces it, but does not allow it.' },
    );
  }

  /**
   * Renames a file to a free name: a server that follows the protocol rejects a taken one (draft-ietf-secsh-filexfer-02 section
   * 6.5).
   */
  renameToFree(from: string, to: string, signal: AbortSignal): Promise<void> {
    return this.#call(
      'Renaming a file',
      signal,
      (sftp, done: Done<void>) => sftp.rename(from, to, (error) => done(error)),
      { refused: noRename },
    );
  }

  /** Renames a file, replacing a file that has the new name. */
  async renameOver(from: string, to: string, signal: AbortSignal): Promise<void> {
    if (this.renamesOver) {
      return this.#call(
        'Renaming a file',
        signal,
        (sftp, done: Done<void>) => sftp.ext_openssh_rename(from, to, (error) => done(error)),
        { refused: noRename },
      );
    }
    // Version 3 without the extension rejects renaming onto a file: for a moment no file has the name.
    await this.removeIfThere(to, signal);
    await this.renameToFree(from, to, signal);
  }

  /** Whether the server can replace a file in one step. */
  get renamesOver(): boolean {
    return this.#offers('posix-rename@openssh.com');
  }

  async removeIfThere(path: string, signal: AbortSignal): Promise<void> {
    try {
      await this.remove(path, signal);
    } catch (thrown) {
      if (!(thrown instanceof DispatchError) || !isNoSuchFile(thrown.cause)) throw thrown;
    }
  }

  async remove(path: string, signal: AbortSignal): Promise<void> {
    await this.#call('Removing a file', signal, (sftp, done: Done<void>) => sftp.unlink(path, (error) => done(error)));
  }

  /** Bytes that this user may still write, or undefined if the server does not report them. */
  async freeBytes(signal: AbortSignal): Promise<number | undefined> {
    if (!this.#offers('statvfs@openssh.com')) return undefined;
    try {
      const found = await this.#call(
        'Reading the free space',
        signal,
        (sftp, done: Done<Readonly<Record<string, unknown>>>) => sftp.ext_openssh_statvfs(this.config.path, done),
      );
      return Number(found['f_bavail']) * Number(found['f_frsize']);
    } catch (thrown) {
      if (thrown instanceof DispatchError && isRefused(thrown.cause)) return undefined;
      throw thrown;
    }
  }

  /** Extensions that the server announced at the beginning of the session (draft-ietf-secsh-filexfer-02 section 4). */
  #offers(extension: string): boolean {
    const { _extensions: extensions } = this.#connection.sftp as unknown as {
      _extensions?: Readonly<Record<string, string>>;
    };
    return extensions?.[extension] !== undefined;
  }

  /** A call of the client. Texts of its errors contain paths: an error without a status is replaced. */
  #ask<T>(
    doing: string,
    signal: AbortSignal,
    start: (client: SftpClient) => Promise<T>,
    options?: RequestOptions,
  ): Promise<T> {
    const answer = start(this.#connection.client).catch((thrown: unknown) => {
      if (hasStatus(thrown)) throw thrown;
      throw new DispatchError('target-connection-lost', `the connection to ${this.config.host} was lost`);
    });
    return this.#limited(doing, signal, answer, options);
  }

  /** A request of the session. */
  #call<T>(
    doing: string,
    signal: AbortSignal,
    start: (sftp: SFTPWrapper, done: Done<T>) => void,
    options?: RequestOptions,
  ): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      start(this.#connection.sftp, (error, value) => (error ? reject(error) : resolve(value)));
    });
    return this.#limited(doing, signal, answer, options);
  }

  async #limited<T>(
    doing: string,
    signal: AbortSignal,
    answer: Promise<T>,
    { bytes = 0, refused }: RequestOptions = {},
  ): Promise<T> {
    this.#floor.begin();
    let gone = 0;
    try {
      const result = await until(until(answer, this.#ended), signal);
      gone = bytes;
      return result;
    } catch (thrown) {
      throw translateSftpError(thrown, this.config.host, doing, { stage: this.#stage, refused });
    } finally {
      this.#floor.end(gone);
    }
  }
}

interface RequestOptions {
  /** Bytes transferred by the request. */
  readonly bytes?: number;
  /** The remedy if the server does not allow the request at all. */
  readonly refused?: string;
}

const noRename =
  'Set temporaryName to none: files are then written under their final names, because the server does not allow renaming.';
