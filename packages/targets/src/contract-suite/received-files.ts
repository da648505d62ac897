import { readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { markName } from '../place-mark/index.ts';
import type { FixtureStudy } from './fixture-study.ts';
import { fileFacts, type Part10Facts } from './part10-facts.ts';

/** Paths of all files under a folder, relative to it, hidden ones too; but for the mark of a target's folder. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory() && entry.name !== markName)
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** What lies under a folder as instances of a study, by the UIDs in their names; hidden files and markers are none. */
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
