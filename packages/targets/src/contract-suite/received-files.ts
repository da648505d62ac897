import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { markName } from '../place-mark/index.ts';
import type { FixtureStudy } from './fixture-study.ts';
import { fileFacts, type Part10Facts } from './part10-facts.ts';

/** Paths of all files in a folder, relative to it, including hidden ones, except the mark of a target's folder. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && entry.name !== markName)
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Files in a folder that are instances of a study, by the UIDs in their names; without hidden files and markers. */
export async function receivedFiles(folder: string, study?: FixtureStudy): Promise<Part10Facts[]> {
  const found: Part10Facts[] = [];
  const uids = study?.instances.map(({ manifest }) => manifest.sopInstanceUid);
  for (const path of await filesUnder(folder)) {
    if (uids && !uids.some((uid) => path.includes(uid))) continue;
    if (/(^|\/)\.|\.(json|complete)$/.test(path)) continue;
    found.push(await fileFacts(join(folder, path)));
  }
  return found;
}
