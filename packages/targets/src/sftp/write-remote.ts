import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { temporaryName } from '../template/index.ts';
import { isFailure } from './errors.ts';
import type { Claim } from './judge-remote.ts';
import { remoteChunks } from './remote-chunks.ts';
import { FolderRefused, NotAFolder, type RemoteFolders } from './remote-folders.ts';
import type { SftpSession } from './session.ts';
import { settleRemote, withName, type Settled } from './settle-remote.ts';
import { whyNoFolder, whyNotCreated } from './why-not-created.ts';

/** Outstanding bytes for one file: 1 MiB allows 20 MB/s per file with a round-trip time of 50 ms. */
const windowBytes = 1024 * 1024;

export interface RemoteFile extends Claim {
  /** Relative to the target's folder. */
  readonly path: string;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly sizeBytes: number | undefined;
  /** Existing content at the path was found to be replaceable. */
  readonly isJudged?: boolean;
}

export interface WriteSignals {
  /** Ends the writing of bytes. */
  readonly signal: AbortSignal;
  /**
   * Ends the following steps: a file whose bytes are written is renamed quickly, even if another file has failed meanwhile, so
   * that the next attempt need not send it again. Default: `signal`.
   */
  readonly finishing?: AbortSignal;
}

/**
 * Writes a file under a temporary name in its final folder, verifies and renames it: a partial file never has the final name, and
 * other content is only replaced as `judgeRemote` decides. With `temporaryName: none` it is written under its final name directly.
 */
export async function writeRemote(
  session: SftpSession,
  folders: RemoteFolders,
  deliveryId: string,
  file: RemoteFile,
  { signal, finishing = signal }: WriteSignals,
): Promise<Settled> {
  const { config } = session;
  const folder = posix.dirname(file.path);
  const remote = posix.join(config.path, file.path);
  try {
    await folders.ensure(folder);
  } catch (thrown) {
    if (thrown instanceof NotAFolder) throw file.conflict('way');
    throw thrown instanceof FolderRefused ? await whyNoFolder(session, folder, file, thrown.cause, signal) : thrown;
  }
  if (config.temporaryName === 'none') {
    return withName(session, remote, signal, () => writeDirectly(session, remote, file, { signal, finishing }));
  }
  const temporary = posix.join(config.path, folder, temporaryName(deliveryId, config.temporaryName));
  const handle = await create(session, folders, temporary, folder, file, signal);
  try {
    const sha256 = await fill(session, temporary, handle, file, { signal, finishing });
    if (sha256 !== undefined) await readBack(session, temporary, sha256, finishing);
    return await settleRemote(session, temporary, remote, file, finishing);
  } catch (thrown) {
    // Best effort while the connection exists: the next attempt removes it too.
    await session.remove(temporary, AbortSignal.timeout(500)).catch(() => {});
    throw await nameFullDisk(session, thrown);
  }
}

async function writeDirectly(
  session: SftpSession,
  remote: string,
  file: RemoteFile,
  { signal, finishing }: Required<WriteSignals>,
): Promise<Settled> {
  // The existing content was compared: an older version, or an abandoned part.
  if (file.isJudged) await session.removeIfThere(remote, signal);
  let handle: Buffer;
  try {
    handle = await session.openFile(remote, 'wx', signal);
  } catch (thrown) {
    if (!(thrown instanceof DispatchError) || !isFailure(thrown.cause)) throw thrown;
    if ((await session.lookAt(remote, signal)) === undefined) throw await nameFullDisk(session, thrown);
    throw new DispatchError('instance-failed', `${session.config.host}: a path was created by others during writing`);
  }
  try {
    const sha256 = await fill(session, remote, handle, file, { signal, finishing });
    if (sha256 !== undefined) await readBack(session, remote, sha256, finishing);
    return file.isJudged ? 'replaced' : 'new';
  } catch (thrown) {
    // A part left by a lost connection is recognised by the next attempt as the beginning of the file.
    await session.remove(remote, AbortSignal.timeout(500)).catch(() => {});
    throw await nameFullDisk(session, thrown);
  }
}

async function create(
  session: SftpSession,
  folders: RemoteFolders,
  temporary: string,
  folder: string,
  file: RemoteFile,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    return await session.openFile(temporary, 'wx', signal);
  } catch (thrown) {
    throw await whyNotCreated(session, folders, folder, file, thrown, signal);
  }
}

/**
 * Writes, syncs and closes an open file, and checks its size. A server executes requests on one file as if in the order of arrival
 * (draft-ietf-secsh-filexfer-02 section 6.1): after the open none waits for the previous response, and all responses are checked
 * at the end.
 *
 * @returns the SHA-256 of the data in hexadecimal, if the content is to be verified
 */
async function fill(
  session: SftpSession,
  path: string,
  handle: Buffer,
  file: RemoteFile,
  { signal, finishing }: Required<WriteSignals>,
): Promise<string | undefined> {
  const { config } = session;
  const hash = config.verify === 'content' ? createHash('sha256') : undefined;
  const writes = new Writes(session, handle, finishing);
  try {
    for await (const chunk of file.body) {
      throwIfCancelled(signal);
      hash?.update(chunk);
      await writes.add(chunk);
    }
    if (file.sizeBytes !== undefined && writes.sizeBytes !== file.sizeBytes) {
      throw new DispatchError(
        'source-error',
        `the source sent ${writes.sizeBytes} of ${file.sizeBytes} bytes of an instance`,
      );
    }
  } catch (thrown) {
    await session.closeFile(handle, finishing).catch(() => {});
    throw thrown;
  }
  const [, , found] = await Promise.all([
    writes.end(),
    config.fsync ? session.sync(handle, finishing) : undefined,
    config.verify === 'none' ? undefined : session.sizeOf(handle, finishing),
    session.closeFile(handle, finishing),
  ]);
  if (config.mode !== undefined) await session.setMode(path, config.mode, finishing);
  if (config.verify === 'size') {
    const size = found ?? (await sizeByPath(session, path, finishing));
    if (size !== writes.sizeBytes) throw otherSize(config.host, size, writes.sizeBytes);
  } else if (found !== undefined && found !== writes.sizeBytes) {
    throw otherSize(config.host, found, writes.sizeBytes);
  }
  return hash?.digest('hex');
}

/** The size in bytes of a file by its path, for servers that do not report that of an open file. @throws {DispatchError} */
export async function sizeByPath(session: SftpSession, path: string, signal: AbortSignal): Promise<number> {
  const found = await session.lookAt(path, signal);
  if (found !== undefined && found !== 'refused') return found.size;
  const { host } = session.config;
  if (found === undefined) throw otherSize(host, 0, undefined);
  throw new DispatchError(
    'target-misconfigured',
    `${host} does not report the size of a file (fstat, stat and lstat)`,
    {
      remedy: 'Set verify to content, which reads each file back, or to none.',
    },
  );
}

function otherSize(host: string, size: number, sent: number | undefined): DispatchError {
  return new DispatchError('verify-missing', `a file at ${host} has ${size} bytes after ${sent ?? 'all'} were sent`, {
    stage: 'verify',
  });
}

/** Writes to one file, several of them outstanding at a time, because each waits for a response of the server. */
class Writes {
  readonly #session: SftpSession;
  readonly #handle: Buffer;
  readonly #signal: AbortSignal;
  readonly #underWay = new Set<Promise<void>>();
  #underWayBytes = 0;
  #failure: { readonly thrown: unknown } | undefined;
  sizeBytes = 0;

  constructor(session: SftpSession, handle: Buffer, signal: AbortSignal) {
    this.#session = session;
    this.#handle = handle;
    this.#signal = signal;
  }

  /** The bytes have been copied when this resolves. */
  async add(chunk: Uint8Array): Promise<void> {
    const { maxWriteBytes } = this.#session;
    for (let at = 0; at < chunk.byteLength; at += maxWriteBytes) {
      while (this.#underWayBytes >= windowBytes) await Promise.race(this.#underWay);
      this.#throwIfFailed();
      const length = Math.min(maxWriteBytes, chunk.byteLength - at);
      const writing = this.#writeOne(Buffer.from(chunk.buffer, chunk.byteOffset + at, length)).finally(() => {
        this.#underWay.delete(writing);
        this.#underWayBytes -= length;
      });
      this.#underWay.add(writing);
      this.#underWayBytes += length;
      this.sizeBytes += length;
    }
  }

  /** Never rejects: errors are reported with the next piece, or at the end. */
  async #writeOne(piece: Buffer): Promise<void> {
    try {
      await this.#session.write(this.#handle, piece, this.sizeBytes, this.#signal);
    } catch (thrown) {
      this.#failure ??= { thrown };
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#underWay);
    this.#throwIfFailed();
  }

  #throwIfFailed(): void {
    if (this.#failure) throw this.#failure.thrown;
  }
}

/** Version 3 has no status for a full disk; the free space shows it. */
async function nameFullDisk(session: SftpSession, thrown: unknown): Promise<unknown> {
  if (!(thrown instanceof DispatchError) || !isFailure(thrown.cause)) return thrown;
  const free = await session.freeBytes(AbortSignal.timeout(2000)).catch(() => undefined);
  if (free === undefined || free > 1_000_000) return thrown;
  return new DispatchError('target-full', `there is no space left at ${session.config.host}`, { cause: thrown });
}

async function readBack(session: SftpSession, path: string, sha256: string, signal: AbortSignal): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of remoteChunks(session, path, signal)) hash.update(chunk);
  if (hash.digest('hex') === sha256) return;
  throw new DispatchError('verify-missing', `a file at ${session.config.host} has different content than was sent`, {
    stage: 'verify',
  });
}
