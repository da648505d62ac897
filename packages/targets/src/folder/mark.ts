import { DispatchError } from '@dicom-dispatch/core';
import { constants, copyFile, link, open, rename } from 'node:fs/promises';
import {
  checkPlace,
  isRemembered,
  markMissing,
  markName,
  maxMarkBytes,
  type MarkedPlace,
  type PlaceFound,
} from '../place-mark/index.ts';
import type { TargetMemory } from '@dicom-dispatch/target-kit';
import { parseTemplate, temporaryName } from '../template/index.ts';
import { fsCode } from './errors.ts';
import type { Folders, HeldFolder } from './folders.ts';
import { removeIfThere } from './left-overs.ts';
import type { Place } from './place.ts';

/**
 * Checks the folder, and other file systems that are mounted in it above the first placeholder of the layout: each of these has a
 * separate mark, in its uppermost writable folder.
 *
 * @param cannotMark - called with the path of a mounted folder, once for all deliveries
 * @throws {DispatchError} if one of them is not the one with which the target was set up
 */
export async function checkFolder(
  place: Place,
  folders: Folders,
  memory: TargetMemory | undefined,
  act: 'set up' | 'look',
  cannotMark: (path: string) => void = () => {},
): Promise<PlaceFound> {
  const found = await checkOne(place, folders, memory, act, '.');
  let deviceAbove = await folders.within('.', deviceOf);
  let unmarked: bigint | undefined;
  for (const relative of fixedFolders(place.config.layout)) {
    // A missing folder is not a mount point, and is skipped, unless it was marked earlier.
    const path = pathOf(place, relative);
    const wasMarked = await isRemembered(memory, memoryKeyOf(relative), path);
    const device = await folders.withinIfThere(relative, deviceOf);
    if (device === undefined && !wasMarked) continue;
    if (wasMarked) await checkOne(place, folders, memory, act, relative);
    else if (device !== deviceAbove || device === unmarked) {
      const isMarked = await tryToMark(place, folders, memory, act, relative);
      if (!isMarked && (await isFirst(memory, act, relative, path))) cannotMark(path);
      unmarked = isMarked ? undefined : device;
    }
    deviceAbove = device ?? deviceAbove;
  }
  return found;
}

/** @returns false if it is not writable: a mount whose uppermost folder has another owner is not an error */
async function tryToMark(...[place, folders, memory, act, relative]: Parameters<typeof checkOne>): Promise<boolean> {
  try {
    await checkOne(place, folders, memory, act, relative);
    return true;
  } catch (thrown) {
    const code = thrown instanceof DispatchError ? fsCode(thrown.cause) : undefined;
    if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') return false;
    throw thrown;
  }
}

async function isFirst(
  memory: TargetMemory | undefined,
  act: 'set up' | 'look',
  relative: string,
  path: string,
): Promise<boolean> {
  const key = `unmarked:${relative}`;
  if (act === 'look' || (await memory?.get(key)) === path) return false;
  await memory?.set(key, path);
  return true;
}

/** Folders of a layout that are the same for all instances, from the top. */
function fixedFolders(layout: string): string[] {
  if (layout === 'flat') return [];
  const segments = parseTemplate(layout).slice(0, -1);
  const end = segments.findIndex((parts) => parts.some(({ kind }) => kind !== 'text'));
  const names = segments
    .slice(0, end < 0 ? segments.length : end)
    .map((parts) => parts.map((part) => (part.kind === 'text' ? part.text : '')).join(''));
  return names.map((_, index) => names.slice(0, index + 1).join('/'));
}

function memoryKeyOf(relative: string): string {
  return relative === '.' ? 'place' : `place:${relative}`;
}

function pathOf({ config }: Place, relative: string): string {
  return relative === '.' ? config.path : `${config.path}/${relative}`;
}

async function deviceOf({ handle }: HeldFolder): Promise<bigint> {
  return (await handle.stat({ bigint: true })).dev;
}

async function checkOne(
  place: Place,
  folders: Folders,
  memory: TargetMemory | undefined,
  act: 'set up' | 'look',
  relative: string,
): Promise<PlaceFound> {
  const path = pathOf(place, relative);
  const found = await folders.withinIfThere(relative, async (folder) => {
    const marked: MarkedPlace = {
      path,
      shown: path,
      memoryKey: memoryKeyOf(relative),
      folder: await place.act('Checking the folder', () => identify(folder)),
      read: () => place.act('Reading the mark of the folder', () => readMark(folder)),
      async write(content) {
        await place.act('Marking the folder', () => writeMark(folder, content, place.config.mode, 'replace'));
        await folders.sync(relative);
      },
      async create(content) {
        const isNew = await place.act('Marking the folder', () => writeMark(folder, content, place.config.mode, 'new'));
        await folders.sync(relative);
        return isNew;
      },
    };
    return checkPlace(marked, memory, act);
  });
  if (found === undefined) throw markMissing(path);
  return found;
}

/** Identifies a folder: another file system or folder in its place differs in one of these. Undefined without birth times. */
async function identify({ handle }: HeldFolder): Promise<string | undefined> {
  const { dev, ino, birthtimeNs } = await handle.stat({ bigint: true });
  return birthtimeNs === 0n ? undefined : `${dev}:${ino}:${birthtimeNs}`;
}

async function readMark({ base }: HeldFolder): Promise<Buffer | undefined> {
  let handle;
  try {
    handle = await open(`${base}/${markName}`, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (fsCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(maxMarkBytes + 1), 0, maxMarkBytes + 1, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** @returns false if one already exists, and only a new one is wanted */
async function writeMark(
  { base }: HeldFolder,
  content: Buffer,
  mode: number | undefined,
  how: 'new' | 'replace',
): Promise<boolean> {
  const temporary = `${base}/${temporaryName('mark')}`;
  const handle = await open(temporary, 'wx', mode);
  try {
    await handle.writeFile(content);
    await handle.sync();
    await handle.close();
    if (how === 'replace') await rename(temporary, `${base}/${markName}`);
    else {
      await placeNew(temporary, `${base}/${markName}`);
      await removeIfThere(temporary);
    }
    return true;
  } catch (error) {
    await handle.close().catch(() => {});
    await removeIfThere(temporary).catch(() => {});
    if (how === 'new' && fsCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Does not replace an existing file: creates a link or, if the file system does not support links, an exclusive copy. */
async function placeNew(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (fsCode(error) === 'EEXIST') throw error;
    await copyFile(temporary, path, constants.COPYFILE_EXCL);
  }
}
