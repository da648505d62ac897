import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { temporaryName } from '../template/index.ts';
import { fsCode, translateFsError } from './errors.ts';
import type { Folders } from './folders.ts';
import type { GroupWriter } from './group-writer.ts';
import { removeIfThere } from './left-overs.ts';
import { placeOf, type Place } from './place.ts';
import { refusedWithin } from './probe.ts';
import { chunksOf } from './read-chunks.ts';
import { settle, type FileToSettle, type Settled } from './settle.ts';

/** Files up to this length usually arrive in one chunk (see `ClientOptions` of the Orthanc client). */
const oneChunkBytes = 1024 * 1024;

export interface FileToWrite extends Pick<FileToSettle, 'mayReplace' | 'conflict' | 'canBeOlder'> {
  /** Relative to the target's folder, segments joined by `/`. */
  readonly path: string;
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  readonly sizeBytes: number | undefined;
  /** For a small file: writes it together with those of other lanes. */
  readonly group?: { readonly writer: GroupWriter; readonly lane: number } | undefined;
}

/**
 * Writes a file under a temporary name in its final folder, makes it durable, verifies and renames it: a partial file never has the
 * final name. An existing file with the same content is kept; one with other content is replaced only as `settle` decides.
 *
 * @throws {DispatchError}
 */
export async function writeFile(
  place: Place,
  folders: Folders,
  deliveryId: string,
  file: FileToWrite,
): Promise<Settled> {
  const folder = posix.dirname(file.path);
  try {
    return await folders.within(folder, async ({ base }) => {
      const temporary = `${base}/${temporaryName(deliveryId)}`;
      // After a failure in a group its thread removes the file, or the next attempt if the disk does not respond.
      let mayRemain = !file.group;
      let settled: Settled;
      try {
        if (file.group) {
          if (await writeInGroup(place, temporary, file, file.group)) return 'new';
          mayRemain = true;
        } else {
          const sha256 = await writeTemporary(place, temporary, file);
          if (sha256 !== undefined) await readBack(place, temporary, sha256);
        }
        settled = await settle(place, { ...file, base, name: posix.basename(file.path), temporary });
        // After a rename the temporary file does not exist.
        mayRemain = settled === 'same';
      } finally {
        if (mayRemain) await removeTemporary(place, temporary);
      }
      await folders.sync(folder);
      return settled;
    });
  } catch (thrown) {
    throw await meaningOf(thrown, place, folders, folder, file);
  }
}

/** Also after an abort, within the timeout of the target. If it fails, the next attempt repeats it. */
async function removeTemporary({ config }: Place, path: string): Promise<void> {
  const { act } = placeOf(config, new AbortController().signal);
  await act('Removing a file', () => removeIfThere(path)).catch(() => {});
}

/** Translates an error. Many errors below the target's folder concern the instances of one study alone. */
async function meaningOf(
  thrown: unknown,
  place: Place,
  folders: Folders,
  folder: string,
  file: FileToWrite,
): Promise<unknown> {
  if (!(thrown instanceof DispatchError)) return thrown;
  switch (fsCode(thrown.cause)) {
    case 'ENOTDIR':
    case 'ELOOP':
      return file.conflict('way');
    case 'ENOENT':
      if (folder !== '.') folders.forget(folder);
      return new DispatchError(
        'instance-failed',
        `files in ${place.config.path} were removed while they were written`,
        {
          cause: thrown.cause,
        },
      );
    case 'ENAMETOOLONG':
      return new DispatchError('instance-refused', thrown.message, { cause: thrown.cause, remedy: thrown.remedy });
    case 'EACCES':
    case 'EPERM':
      return (await refusedWithin(place, folders, folder)) ? file.conflict('denied') : thrown;
    default:
      return thrown;
  }
}

/** @returns whether the file has its final name, and both are durable; otherwise it is complete under its temporary name */
async function writeInGroup(
  place: Place,
  temporary: string,
  file: FileToWrite,
  { writer, lane }: NonNullable<FileToWrite['group']>,
): Promise<boolean> {
  const { config, signal } = place;
  const sizeBytes = await fill(writer.memoryOf(lane), file.body);
  if (file.sizeBytes !== undefined && sizeBytes !== file.sizeBytes) throw wrongLength(sizeBytes, file.sizeBytes);
  throwIfCancelled(signal);
  const result = await writer.write(
    {
      base: posix.dirname(temporary),
      temporary: posix.basename(temporary),
      name: posix.basename(file.path),
      lane,
      sizeBytes,
    },
    signal,
  );
  switch (result.kind) {
    case 'new':
    case 'occupied':
      return result.kind === 'new';
    case 'wrong-size':
      throw wrongSize(config.path, result.sizeBytes, sizeBytes);
    case 'failed':
      throw translateFsError(Object.assign(new Error(result.doing), { code: result.code }), config.path, result.doing);
    case 'stopped':
      throwIfCancelled(signal);
      throw new DispatchError('local-resources', 'files are no longer written, because another one failed');
  }
}

/** Copies a body to memory. @returns the number of its bytes, which is larger than the memory if it does not fit */
async function fill(memory: Uint8Array, body: FileToWrite['body']): Promise<number> {
  let count = 0;
  for await (const chunk of body) {
    if (count + chunk.byteLength <= memory.byteLength) memory.set(chunk, count);
    count += chunk.byteLength;
  }
  return count;
}

function wrongLength(came: number, expected: number): DispatchError {
  return new DispatchError('source-error', `the source sent ${came} of ${expected} bytes of an instance`);
}

function wrongSize(folder: string, found: number, written: number): DispatchError {
  return new DispatchError('verify-missing', `a file in ${folder} has ${found} bytes after ${written} were written`);
}

/** @returns the SHA-256 of the written data, if the file is read back */
async function writeTemporary(place: Place, path: string, file: FileToWrite): Promise<string | undefined> {
  const { config, act } = place;
  const hash = config.verify === 'content' ? createHash('sha256') : undefined;
  let sizeBytes = 0;
  // With O_SYNC a file of one chunk is durable when it is written. With more chunks, each write would wait for the disk; owner and mode
  // are set after the write, and need a separate sync.
  const syncsWrites =
    config.fsync &&
    !config.owner &&
    config.mode === undefined &&
    (file.sizeBytes ?? Number.POSITIVE_INFINITY) <= oneChunkBytes;
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (syncsWrites ? constants.O_SYNC : 0);
  const handle = await act(
    'Creating a file',
    () => open(path, flags, config.mode),
    (late) => void late.close().catch(() => {}),
  );
  try {
    for await (const chunk of file.body) {
      throwIfCancelled(place.signal);
      hash?.update(chunk);
      await act('Writing', () => writeAll(handle, chunk));
      sizeBytes += chunk.byteLength;
    }
    if (file.sizeBytes !== undefined && sizeBytes !== file.sizeBytes) {
      throw wrongLength(sizeBytes, file.sizeBytes);
    }
    if (config.owner || config.mode !== undefined) {
      await act('Setting owner and mode of a file', async () => {
        if (config.owner) await handle.chown(config.owner.uid, config.owner.gid);
        if (config.mode !== undefined) await handle.chmod(config.mode);
      });
    }
    if (config.fsync && !syncsWrites) await act('Syncing a file', () => handle.sync());
    if (config.verify !== 'none') await lookAtSize(place, handle, sizeBytes);
  } catch (thrown) {
    await handle.close().catch(() => {});
    throw thrown;
  }
  // Network shares may report errors of earlier writes only when the file is closed.
  await act('Closing a file', () => handle.close());
  return hash?.digest('hex');
}

async function writeAll(handle: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let at = 0; at < chunk.byteLength;) {
    const { bytesWritten } = await handle.write(chunk, at);
    if (bytesWritten === 0) throw Object.assign(new Error('nothing was written'), { code: 'EIO' });
    at += bytesWritten;
  }
}

async function lookAtSize(place: Place, handle: FileHandle, sizeBytes: number): Promise<void> {
  const { size } = await place.act('Checking a written file', () => handle.stat());
  if (size !== sizeBytes) throw wrongSize(place.config.path, size, sizeBytes);
}

async function readBack(place: Place, path: string, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(place, path)) hash.update(chunk);
  if (hash.digest('hex') === sha256) return;
  throw new DispatchError('verify-missing', `a file in ${place.config.path} has different content than was written`);
}
