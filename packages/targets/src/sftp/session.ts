import type { FileEntryWithStats, SFTPWrapper, Stats } from 'ssh2';
import { DispatchError, type Stage } from '@dicom-dispatch/core';
import { until, within } from '../flow/index.ts';
import { connectSsh, openSftp, type Connection } from './connect.ts';
import { isNoSuchFile, translateSftpError } from './errors.ts';
import type { SftpTarget } from './schema.ts';

type Done<T> = (error: Error | null | undefined, value: T) => void;

/**
 * An SFTP session in use. Each request is limited in time, ends when the connection is lost, and has its errors
 * translated.
 */
export class SftpSession {
  readonly config: SftpTarget;
  readonly #connection: Connection;
  readonly #sftp: SFTPWrapper;
  readonly #stage: Stage | undefined;

  static async open(config: SftpTarget, signal: AbortSignal, stage?: Stage): Promise<SftpSession> {
    const connection = await connectSsh(config, signal);
    try {
      return new SftpSession(config, connection, await openSftp(connection, config, signal), stage);
    } catch (thrown) {
      connection.end();
      throw thrown;
    }
  }

  constructor(config: SftpTarget, connection: Connection, sftp: SFTPWrapper, stage?: Stage) {
    this.config = config;
    this.#connection = connection;
    this.#sftp = sftp;
    this.#stage = stage;
  }

  end(): void {
    this.#connection.end();
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

  list(path: string, signal: AbortSignal): Promise<FileEntryWithStats[]> {
    return this.#call('Listing a folder', signal, (sftp, done: Done<FileEntryWithStats[]>) => sftp.readdir(path, done));
  }

  makeFolder(path: string, mode: number | undefined, signal: AbortSignal): Promise<void> {
    return this.#call('Creating a folder', signal, (sftp, done: Done<void>) =>
      sftp.mkdir(path, mode === undefined ? {} : { mode }, (error) => done(error)),
    );
  }

  setMode(path: string, mode: number, signal: AbortSignal): Promise<void> {
    return this.#call('Setting the mode', signal, (sftp, done: Done<void>) =>
      sftp.chmod(path, mode, (error) => done(error)),
    );
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
      // At the end of the file the answer is status 1 (EOF).
      sftp.read(handle, into, 0, into.length, position, (error: (Error & { code?: unknown }) | undefined, count) =>
        error?.code === 1 ? done(undefined, 0) : done(error, count),
      ),
    );
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
      await this.#call('Renaming a file', signal, (sftp, done: Done<void>) =>
        sftp.ext_openssh_rename(from, to, (error) => done(error)),
      );
      return;
    }
    // Version 3 alone refuses to rename onto a file: for a moment there is none.
    if (await this.statIfThere(to, signal)) await this.remove(to, signal);
    await this.#call('Renaming a file', signal, (sftp, done: Done<void>) =>
      sftp.rename(from, to, (error) => done(error)),
    );
  }

  remove(path: string, signal: AbortSignal): Promise<void> {
    return this.#call('Removing a file', signal, (sftp, done: Done<void>) => sftp.unlink(path, (error) => done(error)));
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
    const { _extensions: extensions } = this.#sftp as unknown as { _extensions?: Readonly<Record<string, string>> };
    return extensions?.[extension] !== undefined;
  }

  async #call<T>(doing: string, signal: AbortSignal, start: (sftp: SFTPWrapper, done: Done<T>) => void): Promise<T> {
    const { host, timeout } = this.config;
    const limit = {
      timeoutMs: timeout,
      signal: this.#connection.lost,
      onTimeout: () => new DispatchError('target-timeout', `${doing} at ${host} took longer than ${timeout / 1000} s`),
    };
    const answer = new Promise<T>((resolve, reject) => {
      start(this.#sftp, (error, value) => (error ? reject(error) : resolve(value)));
    });
    try {
      return await until(within(answer, limit), signal);
    } catch (thrown) {
      throw translateSftpError(thrown, host, doing, this.#stage);
    }
  }
}
