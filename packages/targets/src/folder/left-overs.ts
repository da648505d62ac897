import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isAbandoned, leftOverKind } from '../template/index.ts';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';

/**
 * Removes from one folder the temporary files of earlier attempts of this delivery, and any that nobody has written to
 * for a day.
 */
export async function removeLeftOvers(place: Place, relative: string, deliveryId: string): Promise<number> {
  const folder = join(place.config.path, relative);
  return place.act('Removing temporary files', async () => {
    let removed = 0;
    for (const name of await namesIn(folder)) {
      const kind = leftOverKind(name, deliveryId);
      if (!kind) continue;
      const path = join(folder, name);
      if (kind === 'old' && !isAbandoned(await modifiedMs(path))) continue;
      await removeIfThere(path);
      removed += 1;
    }
    return removed;
  });
}

export async function removeIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (fsCode(error) !== 'ENOENT') throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return [];
    throw error;
  }
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
