import type { Dir } from 'node:fs';
import { opendir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbandoned, leftOverKind } from '../template/index.ts';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';

/** What was in a folder before anything was written to it. */
export interface Found {
  /** Those of the names asked for that are there. */
  readonly there: ReadonlySet<string>;
  readonly removed: number;
}

/**
 * Looks into one folder, once for all files: removes the temporary files of earlier attempts of this delivery, and any
 * that nobody has written to for a day, and tells which of the names are taken.
 */
export async function lookIntoFolder(
  place: Place,
  relative: string,
  names: ReadonlySet<string>,
  deliveryId: string,
): Promise<Found> {
  const folder = join(place.config.path, relative);
  return place.act('Looking into a folder', async () => {
    const there = new Set<string>();
    let removed = 0;
    for await (const name of namesIn(folder)) {
      if (names.has(name)) there.add(name);
      const kind = leftOverKind(name, deliveryId);
      if (!kind) continue;
      const path = join(folder, name);
      if (kind === 'old' && !isAbandoned(await modifiedMs(path))) continue;
      await removeIfThere(path);
      removed += 1;
    }
    return { there, removed };
  });
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (fsCode(error) !== 'ENOENT') throw error;
  }
}

/** A portion at a time: a flat folder may hold a million names. */
async function* namesIn(folder: string): AsyncGenerator<string> {
  let entries: Dir;
  try {
    entries = await opendir(folder, { bufferSize: 1_000 });
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return;
    throw error;
  }
  for await (const { name } of entries) yield name;
}

/** Milliseconds since 1970; a file that is gone counts as new. */
async function modifiedMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return Number.POSITIVE_INFINITY;
    throw error;
  }
}
