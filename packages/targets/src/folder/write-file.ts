import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, rename, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { throwIfCancelled } from '../flow/index.ts';
import { fsCode } from './errors.ts';
import type { Folders } from './folders.ts';
import type { Place } from './place.ts';
import { temporaryName } from '../template/index.ts';
import { removeIfThere } from './left-overs.ts';

/** Files up to this length come in one chunk. */
const oneChunkBytes = 1024 * 1024;

export interface FileToWrite {
  /** Relative to the target's folder, segments joined by `/`. */
  readonly path: string;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly sizeBytes: number | undefined;
  /** Nothing had that name when the attempt began: there is nothing to compare with. */
  readonly isNew?: boolean;
}

/**
 * Writes a file under a temporary name in its final folder, makes it durable, verifies it and renames it: under the final
 * name there is never a part of a file. A file that is there already with the same content is left as it is.
 *
 * @returns whether the file was there already
 * @throws {DispatchError}
 */
export async function writeFile(
  place: Place,
  folders: Folders,
  deliveryId: string,
  file: FileToWrite,
): Promise<boolean> {
  const { config, act } = place;
  const folder = dirname(file.path);
  await folders.ensure(folder);
  const finalPath = join(config.path, file.path);
  const temporary = join(config.path, folder, temporaryName(deliveryId));
  let isRenamed = false;
  try {
    const written = await writeTemporary(place, temporary, file);
    if (written.sha256 !== undefined) await readBack(place, temporary, written.sha256);
    if (!file.isNew && (await holdsSame(place, finalPath, temporary, written.sizeBytes))) return true;
    await act('Renaming a file', () => rename(temporary, finalPath));
    isRenamed = true;
    await folders.sync(folder);
    return false;
  } finally {
    // After a failure this is worth a try, the next attempt does it again.
    if (!isRenamed) await removeIfThere(temporary).catch(() => {});
  }
}

interface Written {
  readonly sizeBytes: number;
  /** Only where the file is to be read back. */
  readonly sha256: string | undefined;
}

async function writeTemporary(place: Place, path: string, file: FileToWrite): Promise<Written> {
  const { config, act } = place;
  const hash = config.verify === 'content' ? createHash('sha256') : undefined;
  let sizeBytes = 0;
  // One chunk is durable with its write (O_SYNC); of many, each would wait for the disk. Owner and mode come after it.
  const syncsWrites =
    config.fsync &&
    !config.owner &&
    config.mode === undefined &&
    (file.sizeBytes ?? Number.POSITIVE_INFINITY) <= oneChunkBytes;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (syncsWrites ? constants.O_SYNC : 0);
  const handle = await act(
    'Creating a file',
    () => open(path, flags, config.mode),
    (late) => void late.close(),
  );
  try {
    for await (const chunk of file.body) {
      throwIfCancelled(place.signal);
      hash?.update(chunk);
      await act('Writing', () => writeAll(handle, chunk));
      sizeBytes += chunk.byteLength;
    }
    if (file.sizeBytes !== undefined && sizeBytes !== file.sizeBytes) {
      throw new DispatchError('source-error', `the source gave ${sizeBytes} of ${file.sizeBytes} bytes of an instance`);
    }
    if (config.owner || config.mode !== undefined) {
      await act('Setting owner and mode of a file', async () => {
        if (config.owner) await handle.chown(config.owner.uid, config.owner.gid);
        if (config.mode !== undefined) await handle.chmod(config.mode);
      });
    }
    if (config.fsync && !syncsWrites) await act('Syncing a file', () => handle.sync());
    if (config.verify !== 'none') await lookAtSize(place, handle, sizeBytes);
  } finally {
    // Shares report what went wrong with written data only now.
    await act('Closing a file', () => handle.close());
  }
  return { sizeBytes, sha256: hash?.digest('hex') };
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength;) {
    const { bytesWritten } = await handle.write(chunk, at);
    at += bytesWritten;
  }
}

async function lookAtSize(place: Place, handle: FileHandle, sizeBytes: number): Promise<void> {
  const { size } = await place.act('Looking at a written file', () => handle.stat());
  if (size === sizeBytes) return;
  throw new DispatchError(
    'verify-missing',
    `a file in ${place.config.path} has ${size} bytes after ${sizeBytes} were written`,
  );
}

async function readBack(place: Place, path: string, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(place, path)) hash.update(chunk);
  if (hash.digest('hex') === sha256) return;
  throw new DispatchError('verify-missing', `a file in ${place.config.path} reads differently from what was written`);
}

/** Whether a file with the content of another is there. A link or a folder is not the same, whatever it leads to. */
async function holdsSame(place: Place, path: string, other: string, sizeBytes: number): Promise<boolean> {
  if (!(await place.act('Looking for an existing file', () => isFileOf(path, sizeBytes)))) return false;
  const there = chunksOf(place, path);
  const ours = chunksOf(place, other);
  try {
    for (;;) {
      const [first, second] = await Promise.all([there.next(), ours.next()]);
      if (first.done || second.done) return first.done === second.done;
      if (!first.value.equals(second.value)) return false;
    }
  } finally {
    await Promise.all([there.return(), ours.return()]);
  }
}

async function isFileOf(path: string, sizeBytes: number): Promise<boolean> {
  try {
    const found = await lstat(path);
    return found.isFile() && found.size === sizeBytes;
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return false;
    throw error;
  }
}

/** A file in chunks of 256 KiB; the limit of time is for each. A chunk is overwritten by the next. */
async function* chunksOf(place: Place, path: string): AsyncGenerator<Buffer, void, undefined> {
  const handle = await place.act(
    'Opening a file',
    () => open(path, 'r'),
    (late) => void late.close(),
  );
  const buffer = Buffer.allocUnsafe(256 * 1024);
  try {
    for (;;) {
      const { bytesRead } = await place.act('Reading', () => handle.read(buffer, 0, buffer.length));
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}
