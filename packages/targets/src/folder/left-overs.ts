import type { Dir } from 'node:fs';
import { lstat, opendir, unlink } from 'node:fs/promises';
import { isAbandoned, leftOverKind } from '../template/index.ts';
import { fsCode } from './errors.ts';
import type { Folders } from './folders.ts';
import type { Place } from './place.ts';

/**
 * Removes from one folder the temporary files of earlier attempts of this delivery, and of other deliveries after a day without writes.
 *
 * @returns their number
 */
export async function removeLeftOvers(
  place: Place,
  folders: Folders,
  relative: string,
  deliveryId: string,
): Promise<number> {
  const found = await folders.withinIfThere(relative, ({ base }) =>
    place.act('Listing a folder', async () => {
      let count = 0;
      for await (const name of namesIn(base)) {
        const kind = leftOverKind(name, deliveryId);
        if (!kind) continue;
        const path = `${base}/${name}`;
        if (kind === 'old' && !isAbandoned(await modifiedMs(path))) continue;
        // A folder of that name is not a temporary file.
        if (await removed(path)) count += 1;
      }
      return count;
    }),
  );
  return found ?? 0;
}

async function removed(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (['ENOENT', 'EISDIR', 'EPERM', 'EACCES', 'EBUSY'].includes(fsCode(error) ?? '')) return false;
    throw error;
  }
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (fsCode(error) !== 'ENOENT') throw error;
  }
}

/** Reads the names in portions: a flat folder may contain a million of them. */
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

/** Milliseconds since 1970; a deleted file counts as new. */
async function modifiedMs(path: string): Promise<number> {
  try {
    return (await lstat(path)).mtimeMs;
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return Number.POSITIVE_INFINITY;
    throw error;
  }
}
