import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import type SftpClient from 'ssh2-sftp-client';
import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { until, within } from '../flow/index.ts';
import { connectSftp, type Connection } from './connect.ts';
import { hasStatus, isNoSuchFile, translateSftpError } from './errors.ts';
import type { SftpTarget } from './schema.ts';

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** Status 1 (EOF): there is no more. */
const endOfFile = 1;

/** Every server takes writes of this size; with their header they fit into one packet of a channel (32 KiB). */
const smallestWriteBytes = 32_768 - 64;
const largestWriteBytes = 255 * 1024;

/** The types of ssh2 lack the option. */
interface ListsInFull {
  readdir(
    handle: Buffer,
    options: { full: true },
    done: (error: (Error & { code?: unknown }) | undefined, entries: readonly FileEntryWithStats[]) => void,
  ): void;
}

export interface ListedFile {
  readonly name: string;
  readonly modifiedMs: number;
}

/**
 * An SFTP session in use. Each request is limited in time, ends when the connection is lost, and has its errors
 * translated. What ssh2-sftp-client does as it is needed here goes through it, the rest through the session that it has
 * opened; docs/decisions/0007-sftp-by-ssh2-sftp-client.md says which and why.
 */
export class SftpSession {
  readonly config: SftpTarget;
  readonly #connection: Connection;
  readonly #stage: Stage | undefined;

  static async open(config: SftpTarget, signal: AbortSignal): Promise<SftpSession> {
    return new SftpSession(config, await connectSftp(config, signal));
  }

  /** @param stage - where errors count, when not in that of the run */
  constructor(config: SftpTarget, connection: Connection, stage?: Stage) {
    this.config = config;
    this.#connection = connection;
    this.#stage = stage;
  }

  end(): void {
    this.#connection.end();
  }

  /** The longest write that the server takes: OpenSSH takes 255 KiB, and answers once instead of eight times. */
  get maxWriteBytes(): number {
    // What limits@openssh.com told, or what ssh2 knows of the server; ssh2 itself would write the rest one by one.
    const { _maxWriteLen: told } = this.#connection.sftp as unknown as { readonly _maxWriteLen?: unknown };
    if (typeof told !== 'number' || told < smallestWriteBytes) return smallestWriteBytes;
    // Of servers that ssh2 does not know it says 34,000, which with its header is more than one packet.
    return told < 64 * 1024 ? smallestWriteBytes : Math.min(told, largestWriteBytes);
  }

  stat(path: string, signal: AbortSignal): Promise<Stats> {
    return this.#call('Looking at a file', signal, (sftp, done: Done<Stats>) => sftp.stat(path, done));
  }

  async statIfThere(path: string, signal: AbortSignal): Promise<Stats | undefined> {
    try {
      return await this.stat(path, signal);
    } catch (thrown) {
      if (thrown instanceof DispatchError && isNoSuchFile(thrown.cause)) return undefined;
      throw thrown;
    }
  }

  /** What is in a folder, in the portions in which the server tells it; nothing where there is no such folder. */
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
            // Without `full` a portion of nothing but . and .. would look like the end.
            (sftp as unknown as ListsInFull).readdir(handle, { full: true }, (error, entries) =>
              error?.code === endOfFile ? done(undefined, []) : done(error, entries),
            ),
        );
        if (portion.length === 0) return;
        yield portion.map(({ filename, attrs }) => ({ name: filename, modifiedMs: attrs.mtime * 1_000 }));
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

  async setMode(path: string, mode: number, signal: AbortSignal): Promise<void> {
    await this.#ask('Setting the mode', signal, (client) => client.chmod(path, mode));
  }

  openFile(path: string, flags: 'r' | 'wx', signal: AbortSignal): Promise<Buffer> {
    const doing = flags === 'r' ? 'Opening a file' : 'Creating a file';
    return this.#call(doing, signal, (sftp, done: Done<Buffer>) => sftp.open(path, flags, done));
  }

  /** Bytes are taken over before this returns. */
  write(handle: Buffer, bytes: Buffer, position: number, signal: AbortSignal): Promise<void> {
    return this.#call('Writing', signal, (sftp, done: Done<void>) =>
      sftp.write(handle, bytes, 0, bytes.length, position, (error) => done(error)),
    );
  }

  /** @returns how many bytes were read, 0 at the end */
  read(handle: Buffer, into: Buffer, position: number, signal: AbortSignal): Promise<number> {
    return this.#call('Reading', signal, (sftp, done: Done<number>) =>
      sftp.read(handle, into, 0, into.length, position, (error: (Error & { code?: unknown }) | undefined, count) =>
        error?.code === endOfFile ? done(undefined, 0) : done(error, count),
      ),
    );
  }

  /** How many bytes an open file has. */
  async sizeOf(handle: Buffer, signal: AbortSignal): Promise<number> {
    const { size } = await this.#call('Looking at a file', signal, (sftp, done: Done<Stats>) =>
      sftp.fstat(handle, done),
    );
    return size;
  }

  closeFile(handle: Buffer, signal: AbortSignal): Promise<void> {
    return this.#call('Closing a file', signal, (sftp, done: Done<void>) => sftp.close(handle, (error) => done(error)));
  }

  /** Makes a file durable, where the server offers it. */
  async sync(handle: Buffer, signal: AbortSignal): Promise<void> {
    if (!this.#offers('fsync@openssh.com')) return;
    await this.#call('Syncing a file', signal, (sftp, done: Done<void>) =>
      sftp.ext_openssh_fsync(handle, (error: Error | undefined) => done(error)),
    );
  }

  /** Gives a file another name, in the place of what has that name. */
  async rename(from: string, to: string, signal: AbortSignal): Promise<void> {
    if (this.#offers('posix-rename@openssh.com')) {
      return this.#call('Renaming a file', signal, (sftp, done: Done<void>) =>
        sftp.ext_openssh_rename(from, to, (error) => done(error)),
      );
    }
    // Version 3 alone refuses to rename onto a file: for a moment there is none.
    if (await this.statIfThere(to, signal)) await this.remove(to, signal);
    await this.#ask('Renaming a file', signal, (client) => client.rename(from, to));
  }

  async remove(path: string, signal: AbortSignal): Promise<void> {
    await this.#ask('Removing a file', signal, (client) => client.delete(path));
  }

  /** Bytes that are free for us, or undefined where the server does not tell. */
  async freeBytes(signal: AbortSignal): Promise<number | undefined> {
    if (!this.#offers('statvfs@openssh.com')) return undefined;
    const found = await this.#call(
      'Asking for free space',
      signal,
      (sftp, done: Done<Readonly<Record<string, unknown>>>) => sftp.ext_openssh_statvfs(this.config.path, done),
    );
    return Number(found['f_bavail']) * Number(found['f_frsize']);
  }

  /** What the server offered when the session began (draft-ietf-secsh-filexfer-02 section 4). */
  #offers(extension: string): boolean {
    const { _extensions: extensions } = this.#connection.sftp as unknown as {
      _extensions?: Readonly<Record<string, string>>;
    };
    return extensions?.[extension] !== undefined;
  }

  /** A call of the client. Its errors have paths in their texts: of those without a status nothing is kept. */
  #ask<T>(doing: string, signal: AbortSignal, start: (client: SftpClient) => Promise<T>): Promise<T> {
    const answer = start(this.#connection.client).catch((thrown: unknown) => {
      if (hasStatus(thrown)) throw thrown;
      throw new DispatchError('target-connection-lost', `the connection to ${this.config.host} was lost`);
    });
    return this.#limited(doing, signal, answer);
  }

  /** A request of the session. */
  #call<T>(doing: string, signal: AbortSignal, start: (sftp: SFTPWrapper, done: Done<T>) => void): Promise<T> {
    const answer = new Promise<T>((resolve, reject) => {
      start(this.#connection.sftp, (error, value) => (error ? reject(error) : resolve(value)));
    });
    return this.#limited(doing, signal, answer);
  }

  async #limited<T>(doing: string, signal: AbortSignal, answer: Promise<T>): Promise<T> {
    const { host, timeout } = this.config;
    const limit = {
      timeoutMs: timeout,
      signal,
      onTimeout: () => new DispatchError('target-timeout', `${doing} at ${host} took longer than ${timeout / 1000} s`),
    };
    try {
      return await within(until(answer, this.#connection.lost), limit);
    } catch (thrown) {
      throw translateSftpError(thrown, host, doing, this.#stage);
    }
  }
}
