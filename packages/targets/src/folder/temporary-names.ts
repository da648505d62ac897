import { randomBytes } from 'node:crypto';
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { shortHash } from '../template/index.ts';
import { fsCode } from './errors.ts';
import type { Place } from './place.ts';

/** Ours alone: names from templates never begin with a dot, and who watches a folder passes over hidden files. */
const pattern = /^\.dispatch-([0-9a-f]{12})-[0-9a-f]{12}\.part$/;
const abandonedAfterMs = 24 * 3_600_000;

/** A new temporary name; it tells the delivery, so that a later attempt finds what an earlier one left. */
export function temporaryName(deliveryId: string): string {
  return `.dispatch-${shortHash(deliveryId, 12)}-${randomBytes(6).toString('hex')}.part`;
}

/**
 * Removes from one folder the temporary files of earlier attempts of this delivery, which the caller owns alone, and
 * any that nobody has written to for a day.
 */
export async function removeLeftOvers(place: Place, relative: string, deliveryId: string): Promise<number> {
  const folder = join(place.config.path, relative);
  const ours = shortHash(deliveryId, 12);
  return place.act('Removing temporary files', async () => {
    let removed = 0;
    for (const name of await namesIn(folder)) {
      const match = pattern.exec(name);
      if (!match) continue;
      const path = join(folder, name);
      if (match[1] !== ours && !(await isAbandoned(path))) continue;
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

async function isAbandoned(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > abandonedAfterMs;
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return false;
    throw error;
  }
}
