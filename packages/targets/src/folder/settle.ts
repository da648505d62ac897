import { constants, lstat, open, rename } from 'node:fs/promises';
import { DispatchError } from '@dicom-dispatch/core';
import type { BigIntStats } from 'node:fs';
import { isOlderVersion, readIdentity, type PlaceClaim } from '../conflict/index.ts';
import { claimed } from './claim.ts';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';
import { chunksOf, compareFiles } from './read-chunks.ts';

/** How a file got its name. */
export type Settled =
  | 'new'
  /** It was there with the same content. */
  | 'same'
  | 'replaced';

export interface FileToSettle extends PlaceClaim {
  /** Path of its folder. */
  readonly base: string;
  readonly name: string;
  /** The complete, verified file under its temporary name. */
  readonly temporary: string;
  /** Whether a file of another content may be replaced; default: when it is the same instance of the same patient. */
  mayReplace?(there: AsyncIterable<Uint8Array>): Promise<boolean>;
}

/** Maximum attempts, if another process always changes the existing file between comparison and rename. */
const maxRounds = 20;

/**
 * Renames a file to its final name. Existing content is replaced only if it is empty, the beginning of ours or an older version of the
 * same instance, if `mayReplace` allows it, or with `onConflict: overwrite`.
 *
 * @throws {DispatchError} `target-conflict`
 */
export async function settle(place: Place, file: FileToSettle): Promise<Settled> {
  const path = `${file.base}/${file.name}`;
  let judged: BigIntStats | undefined;
  for (let round = 0; round < maxRounds; round += 1) {
    const { there, isDone } = await place.act('Renaming a file', () => renameUnlessChanged(place, file, path, judged));
    if (isDone) return there ? 'replaced' : 'new';
    if (there && (await judge(place, file, path, there)) === 'same') return 'same';
    judged = there;
  }
  throw new DispatchError('instance-failed', `a file in ${place.config.path} is repeatedly changed by others`);
}

/** Renames the file, unless there is content that was not compared yet. */
function renameUnlessChanged(
  { signal }: Place,
  { base, name, temporary }: FileToSettle,
  path: string,
  judged: BigIntStats | undefined,
): Promise<{ readonly there: BigIntStats | undefined; readonly isDone: boolean }> {
  return claimed(base, name, temporary, signal, async () => {
    const there = await statIfThere(path);
    // After a timeout another delivery may hold the claim.
    signal.throwIfAborted();
    if (!isUnchanged(there, judged)) return { there, isDone: false };
    await rename(temporary, path);
    return { there, isDone: true };
  });
}

async function judge(place: Place, file: FileToSettle, path: string, there: BigIntStats): Promise<'same' | 'replace'> {
  if (there.isDirectory()) throw file.conflict('folder');
  if (there.isSymbolicLink()) throw file.conflict('link');
  if (!there.isFile()) throw file.conflict('special');
  // Left by a power failure, or by another program that has only created the file.
  if (there.size === 0n) return 'replace';
  const likeness = await compareFiles(place, file.temporary, path);
  if (likeness === 'same') {
    if (place.config.fsync) await place.act('Syncing an existing file', () => syncFile(path));
    return 'same';
  }
  if (likeness === 'cut' || place.config.onConflict === 'overwrite') return 'replace';
  if (file.mayReplace) {
    if (await file.mayReplace(chunksOf(place, path))) return 'replace';
    throw file.conflict('file');
  }
  const [theirs, ours] = [
    await readIdentity(chunksOf(place, path)),
    await readIdentity(chunksOf(place, file.temporary)),
  ];
  if (await isOlderVersion(file, theirs, ours)) return 'replace';
  throw file.conflict(theirs ? 'instance' : 'file');
}

async function statIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true });
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function isUnchanged(found: BigIntStats | undefined, judged: BigIntStats | undefined): boolean {
  if (!found || !judged) return found === judged;
  return found.ino === judged.ino && found.size === judged.size && found.mtimeNs === judged.mtimeNs;
}

/** Syncs an existing file: an attempt that wrote it may have ended before it was on disk. */
async function syncFile(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
