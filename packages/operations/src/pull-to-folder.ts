import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isUid } from '@dicom-dispatch/core';
import { OperationError, watchedBody, type PullDestination } from '@dicom-dispatch/pipeline';
import { readIdentity } from '@dicom-dispatch/targets';

/**
 * A folder with one file per instance, `STUDY/INSTANCE.dcm`; a second instance with the same SOP Instance UID, in another series
 * of the study, is `STUDY/INSTANCE_SERIES.dcm`. A file is written as `.NAME.part`, flushed and renamed: a file with its final
 * name is complete.
 *
 * @throws OperationError if the folder cannot be used
 */
export async function pullToFolder(folder: string, studyInstanceUid: string): Promise<PullDestination> {
  if (!isUid(studyInstanceUid))
    throw new OperationError('invalid', 'a Study Instance UID contains only digits and dots');
  const path = join(folder, studyInstanceUid);
  const names = await mkdir(path, { recursive: true })
    .then(() => readdir(path))
    .catch((error: unknown) => {
      throw cannotWrite(path, error);
    });
  const known = new Set(names);
  /** Series Instance UIDs of files that are being written, or have been read or written, by name. */
  const seriesOf = new Map<string, string | undefined>();

  /** Whether the file of a name belongs to the series, as far as this can be determined. */
  async function isOfSeries(name: string, seriesInstanceUid: string): Promise<boolean> {
    if (!seriesOf.has(name)) seriesOf.set(name, await seriesIn(join(path, name)));
    const series = seriesOf.get(name);
    return series === undefined || series === seriesInstanceUid;
  }

  /** @returns the name under which an instance is stored, or will be stored */
  async function nameOf(sopInstanceUid: string, seriesInstanceUid?: string): Promise<string> {
    const name = `${sopInstanceUid}.dcm`;
    const isTaken = known.has(name) || seriesOf.has(name);
    if (seriesInstanceUid === undefined || !isTaken || (await isOfSeries(name, seriesInstanceUid))) return name;
    return `${sopInstanceUid}_${seriesInstanceUid}.dcm`;
  }

  return {
    has: async (sopInstanceUid, seriesInstanceUid) => known.has(await nameOf(sopInstanceUid, seriesInstanceUid)),
    // The UID becomes the name of a file.
    canKeep: (sopInstanceUid) => isUid(sopInstanceUid),
    async store(sopInstanceUid, instance, seriesInstanceUid) {
      if (!isUid(sopInstanceUid) || (seriesInstanceUid !== undefined && !isUid(seriesInstanceUid))) {
        throw new OperationError('invalid', 'the target listed an instance with an invalid UID');
      }
      const plain = `${sopInstanceUid}.dcm`;
      // Before the first await: another lane may retrieve the other instance with this UID.
      if (!known.has(plain) && !seriesOf.has(plain)) seriesOf.set(plain, seriesInstanceUid);
      const name = await nameOf(sopInstanceUid, seriesInstanceUid);
      const partial = join(path, `.${name.slice(0, -4)}.part`);
      const file = createWriteStream(partial, { flush: true });
      const watched = watchedBody(instance);
      try {
        await pipeline(watched.body, file);
        await rename(partial, join(path, name));
        known.add(name);
      } catch (error) {
        if (!known.has(name)) seriesOf.delete(name);
        await rm(partial, { force: true }).catch(() => {});
        // An error of the body also ends the file; all others are errors of the file.
        throw error === watched.error ? error : cannotWrite(path, error);
      }
    },
    close: async () => {},
  };
}

/** The Series Instance UID of a file; undefined if it cannot be read. */
async function seriesIn(path: string): Promise<string | undefined> {
  const identity = await readIdentity(createReadStream(path)).catch(() => undefined);
  return identity?.seriesInstanceUid;
}

function cannotWrite(path: string, cause: unknown): OperationError {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  return new OperationError('conflict', `cannot write to ${path} (${code})`, { cause });
}
