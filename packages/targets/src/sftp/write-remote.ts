import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { throwIfCancelled } from '../flow/index.ts';
import { temporaryName } from '../template/index.ts';
import { isFailure } from './errors.ts';
import type { RemoteFolders } from './remote-folders.ts';
import type { SftpSession } from './session.ts';

/** Bytes under way for one file: a megabyte, so that a link of 50 ms still carries 20 MB/s a file. */
const windowBytes = 1024 * 1024;
/** Reads ask for pieces that fit into one packet of a channel (32 KiB) with their header. */
const pieceBytes = 32_768 - 64;
const window = windowBytes / 32_768;

export interface RemoteFile {
  /** Relative to the target's folder. */
  readonly path: string;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly sizeBytes: number | undefined;
}

export interface WriteSignals {
  /** Ends the writing of bytes. */
  readonly signal: AbortSignal;
  /**
   * Ends what follows: once its bytes are there, a file gets its name in a moment, and is not read again by the next
   * attempt because another failed meanwhile. Default: the same.
   */
  readonly finishing?: AbortSignal;
}

/**
 * Writes a file under a temporary name in its final folder, verifies it and renames it: under the final name there is
 * never a part of a file.
 */
export async function writeRemote(
  session: SftpSession,
  folders: RemoteFolders,
  deliveryId: string,
  file: RemoteFile,
  { signal, finishing = signal }: WriteSignals,
): Promise<void> {
  const { config } = session;
  const folder = posix.dirname(file.path);
  await folders.ensure(folder);
  const temporary = posix.join(config.path, folder, temporaryName(deliveryId));
  try {
    const sha256 = await writeTemporary(session, temporary, file, { signal, finishing });
    if (sha256 !== undefined) await readBack(session, temporary, sha256, finishing);
    await session.rename(temporary, posix.join(config.path, file.path), finishing);
  } catch (thrown) {
    // A courtesy, as long as the connection holds: the next attempt removes it too.
    await session.remove(temporary, AbortSignal.timeout(500)).catch(() => {});
    throw await nameFullDisk(session, thrown);
  }
}

/**
 * Requests on one file are served as if in the order in which they come (draft-ietf-secsh-filexfer-02 section 6.1): once
 * it is open none waits for the answer to the one before, and all answers are looked at in the end.
 */
async function writeTemporary(
  session: SftpSession,
  path: string,
  file: RemoteFile,
  { signal, finishing }: Required<WriteSignals>,
): Promise<string | undefined> {
  const { config } = session;
  const hash = config.verify === 'content' ? createHash('sha256') : undefined;
  const handle = await session.openFile(path, 'wx', signal);
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
        `the source gave ${writes.sizeBytes} of ${file.sizeBytes} bytes of an instance`,
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
  if (found !== undefined && found !== writes.sizeBytes) {
    throw new DispatchError(
      'verify-missing',
      `a file at ${config.host} has ${found} bytes after ${writes.sizeBytes} were sent`,
      { stage: 'verify' },
    );
  }
  return hash?.digest('hex');
}

/** Keeps several writes under way, since each waits for an answer from far away. */
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

  /** The bytes are taken over when this resolves. */
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

  /** Never rejects: what failed is told with the next piece, or at the end. */
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

/** Version 3 has no word for a full disk; the free space tells. */
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
  throw new DispatchError('verify-missing', `a file at ${session.config.host} reads differently from what was sent`, {
    stage: 'verify',
  });
}

/** A file of the server in pieces, several of them asked for ahead. */
export async function* remoteChunks(
  session: SftpSession,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const handle = await session.openFile(path, 'r', signal);
  try {
    const ahead: Promise<Buffer>[] = [];
    let position = 0;
    const askForOne = (): void => {
      const piece = Buffer.allocUnsafe(pieceBytes);
      const reading = session.read(handle, piece, position, signal).then((count) => piece.subarray(0, count));
      reading.catch(() => {});
      ahead.push(reading);
      position += pieceBytes;
    };
    for (let index = 0; index < window; index += 1) askForOne();
    for (;;) {
      const piece = await ahead.shift();
      if (!piece || piece.length === 0) return;
      yield piece;
      // A short answer in the middle of a file would shift all that follows: begin anew behind it.
      if (piece.length < pieceBytes) {
        position = position - (ahead.length + 1) * pieceBytes + piece.length;
        await Promise.allSettled(ahead.splice(0));
      }
      while (ahead.length < window) askForOne();
    }
  } finally {
    await session.closeFile(handle, signal).catch(() => {});
  }
}
