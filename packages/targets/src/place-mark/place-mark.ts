import { randomUUID } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import { z } from 'zod';
import type { TargetMemory } from '@dicom-dispatch/target-kit';

/** Name of the mark, a file in the folder of a target. */
export const markName = '.dicom-dispatch-target';
/** A mark has about 200 bytes; a longer file is not a mark. */
export const maxMarkBytes = 4096;

const markContent = z.object({ id: z.uuid() });

/** Stored data about the place of a target. */
interface Remembered {
  readonly id: string;
  /** The configured path: a target with another one has been moved on purpose. */
  readonly path: string;
  /** The folder itself, if its file system can identify it: then a removed mark is written again. */
  readonly folder?: string | undefined;
}

/** How a handler reads and writes the mark. */
export interface MarkedPlace {
  /** The configured path, for comparison; with the host if there is one. */
  readonly path: string;
  /** The folder, for messages. */
  readonly shown: string;
  /** Key in the memory of the target; default `place`, for its folder. */
  readonly memoryKey?: string;
  /** Identifies the folder, if possible: device, inode, birth time. */
  readonly folder?: string | undefined;
  /** The content of the mark, of which `maxMarkBytes` + 1 bytes are sufficient; undefined if the file does not exist. */
  read(): Promise<Buffer | undefined>;
  /** Writes the mark atomically, replacing an existing one. */
  write(content: Buffer): Promise<void>;
  /** Writes the mark atomically if none exists. @returns false if another one was created first */
  create(content: Buffer): Promise<boolean>;
}

/** The finding; `describePlace` returns its text. */
export type PlaceFound = 'known' | 'new' | 'taken over' | 'marked again';

/**
 * Checks whether the folder is the one with which the target was set up. The first delivery marks it. An existing mark is adopted
 * if nothing is stored, or if the target has a new path. With an empty mark an operator confirms this folder: it replaces the
 * stored one.
 *
 * @param memory - undefined: nothing can be stored, only the mark is checked
 * @param act - `look` changes nothing, for tests of the connection
 * @throws {DispatchError} in stage `connect`: `target-unreachable` if the mark is missing, `target-misconfigured` if it differs
 */
export async function checkPlace(
  place: MarkedPlace,
  memory: TargetMemory | undefined,
  act: 'set up' | 'look',
): Promise<PlaceFound> {
  const memoryKey = place.memoryKey ?? 'place';
  const remembered = await recall(memory, memoryKey, place.path);
  const content = await place.read();
  const found = content === undefined ? undefined : readMark(content, place);

  async function keep(id: string): Promise<void> {
    if (act === 'look') return;
    await memory?.set(memoryKey, { id, path: place.path, folder: place.folder } satisfies Remembered);
  }
  async function mark(id: string): Promise<void> {
    if (act === 'look') return;
    await place.write(encodeMark(id));
  }

  if (found === undefined) {
    if (remembered && (remembered.folder === undefined || remembered.folder !== place.folder))
      throw markMissing(place.shown);
    if (remembered) {
      await mark(remembered.id);
      return 'marked again';
    }
    const id = randomUUID();
    if (act === 'look') return 'new';
    // Several deliveries may be first at the same time: all of them use the mark of one.
    if (await place.create(encodeMark(id))) {
      await keep(id);
      return 'new';
    }
    const first = readMark((await place.read()) ?? Buffer.alloc(0), place);
    if (first === 'empty') throw another(place);
    await keep(first);
    return 'taken over';
  }
  if (found === 'empty') {
    const id = randomUUID();
    await mark(id);
    await keep(id);
    return 'taken over';
  }
  if (!remembered) {
    await keep(found);
    return 'taken over';
  }
  if (found !== remembered.id) throw another(place);
  return 'known';
}

/** Whether a place is stored for this path; a target with another path has been moved on purpose. */
export async function isRemembered(
  memory: TargetMemory | undefined,
  memoryKey: string,
  path: string,
): Promise<boolean> {
  return (await recall(memory, memoryKey, path)) !== undefined;
}

async function recall(
  memory: TargetMemory | undefined,
  memoryKey: string,
  path: string,
): Promise<Remembered | undefined> {
  const kept = await memory?.get<Remembered>(memoryKey);
  return kept?.path === path ? kept : undefined;
}

function encodeMark(id: string): Buffer {
  const note =
    'Marks this folder as a target of dicom-dispatch, which writes nothing if the mark is missing. Keep this file, and copy it with the folder.';
  return Buffer.from(`${JSON.stringify({ version: 1, id, note }, undefined, 2)}\n`);
}

function readMark(content: Buffer, place: MarkedPlace): string {
  if (content.length === 0) return 'empty';
  try {
    if (content.length > maxMarkBytes) throw new Error('too long');
    return markContent.parse(JSON.parse(content.toString('utf8'))).id;
  } catch (cause) {
    throw new DispatchError(
      'target-misconfigured',
      `${place.shown}: the file ${markName} was not written by dicom-dispatch`,
      {
        cause,
        stage: 'connect',
        remedy: `If this is the correct folder, remove or empty ${markName}.`,
      },
    );
  }
}

/** @param shown - the folder, for the message */
export function markMissing(shown: string): DispatchError {
  return new DispatchError(
    'target-unreachable',
    `${shown} is not the folder that this target was configured with: its mark ${markName} is missing`,
    {
      stage: 'connect',
      remedy: `Mount the share or disk. If this is the correct folder, create an empty file ${markName} in it.`,
    },
  );
}

function another({ shown }: MarkedPlace): DispatchError {
  return new DispatchError(
    'target-misconfigured',
    `${shown} is not the folder that this target was configured with: its mark ${markName} differs`,
    {
      stage: 'connect',
      remedy: `Mount the correct share or disk. If this one replaces it, empty the file ${markName} in it.`,
    },
  );
}
