import { createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isUid } from '@dicom-dispatch/core';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { PullDestination } from './pull-destination.ts';

/**
 * A folder with one file an instance, `STUDY/INSTANCE.dcm`. A file is written as `.INSTANCE.part`, flushed and renamed:
 * what has its final name is whole.
 *
 * @throws OperationError when the folder cannot be used
 */
export async function pullToFolder(folder: string, studyInstanceUid: string): Promise<PullDestination> {
  if (!isUid(studyInstanceUid)) throw new OperationError('invalid', 'a Study Instance UID has digits and dots only');
  const path = join(folder, studyInstanceUid);
  const names = await mkdir(path, { recursive: true })
    .then(() => readdir(path))
    .catch((error: unknown) => {
      throw cannotWrite(path, error);
    });
  const known = new Set(names);
  return {
    has: (sopInstanceUid) => known.has(`${sopInstanceUid}.dcm`),
    // It becomes the name of a file.
    canKeep: (sopInstanceUid) => isUid(sopInstanceUid),
    async store(sopInstanceUid, { body }) {
      if (!isUid(sopInstanceUid)) throw new OperationError('invalid', 'the target names an instance that is no UID');
      const partial = join(path, `.${sopInstanceUid}.part`);
      const name = `${sopInstanceUid}.dcm`;
      const file = createWriteStream(partial, { flush: true });
      let ofFile: unknown;
      file.on('error', (error) => (ofFile = error));
      try {
        await pipeline(body, file);
        await rename(partial, join(path, name));
        known.add(name);
      } catch (error) {
        await rm(partial, { force: true }).catch(() => {});
        // The body has errors of its own; only those of the file are ours to explain.
        throw ofFile === error || isOfFileSystem(error) ? cannotWrite(path, error) : error;
      }
    },
    close: async () => {},
  };
}

function isOfFileSystem(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error && 'path' in error;
}

function cannotWrite(path: string, cause: unknown): OperationError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new OperationError('conflict', `cannot write to ${path} (${code})`, { cause });
}
