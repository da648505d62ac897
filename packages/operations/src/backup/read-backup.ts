import { createReadStream } from 'node:fs';
import { createGunzip } from 'node:zlib';
import { pipeline } from 'node:stream';
import type { KeyEntry, StudyEntry } from '@dicom-dispatch/state/backup';
import {
  BackupFileError,
  damaged,
  readEnd,
  readHead,
  readKeyLine,
  readStudyLine,
  sections,
  SectionSum,
  type BackupCounts,
  type BackupHead,
} from './backup-lines.ts';

/** A study with two million instances at a target takes less. */
const maxLineLength = 256 * 1024 * 1024;

/** The parts of a backup, in the order of the file. */
export type BackupPart =
  | { readonly kind: 'head'; readonly head: BackupHead }
  | { readonly kind: 'key'; readonly key: KeyEntry }
  | { readonly kind: 'study'; readonly study: StudyEntry }
  | { readonly kind: 'end'; readonly counts: BackupCounts };

/**
 * Reads a backup, and compares each section with its digest at its end.
 *
 * @throws BackupFileError if it is not a backup, or is damaged
 * @throws NodeJS.ErrnoException if the file cannot be read
 */
export async function* readBackup(file: string): AsyncGenerator<BackupPart, void, undefined> {
  const lines = readLines(file)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw damaged();
    return value;
  };
  try {
    yield { kind: 'head', head: readHead(await next()) };
    for (const section of sections) {
      const sum = new SectionSum(section);
      for (let line = await next(); !sum.endsWith(line); line = await next()) {
        sum.add(line);
        if (section === 'studies') yield { kind: 'study', study: readStudyLine(line) };
        else yield { kind: 'key', key: readKeyLine(line) };
      }
    }
    yield { kind: 'end', counts: readEnd(await next()) };
    if ((await lines.next()).done !== true) throw damaged();
  } finally {
    await lines.return(undefined);
  }
}

/**
 * Reads all of a backup once, so that nothing is written from one that is damaged.
 *
 * @throws as {@link readBackup}
 */
export async function checkBackup(file: string): Promise<BackupHead & BackupCounts> {
  let head: BackupHead | undefined;
  let counts: BackupCounts | undefined;
  // To the end: data after the last part are damage, too.
  for await (const part of readBackup(file)) {
    if (part.kind === 'head') ({ head } = part);
    else if (part.kind === 'end') ({ counts } = part);
  }
  if (!head || !counts) throw damaged();
  return { ...head, ...counts };
}

async function* readLines(file: string): AsyncGenerator<string, void, undefined> {
  const source = createReadStream(file);
  const gunzip = createGunzip();
  // An error of one of them ends the loop below.
  pipeline(source, gunzip, () => {});
  try {
    // Pieces of a line that has not ended: joining them with each new one would take minutes for a line of 100 MB.
    let begun: string[] = [];
    let length = 0;
    gunzip.setEncoding('utf8');
    for await (const text of gunzip as AsyncIterable<string>) {
      const [first = '', ...others] = text.split('\n');
      begun.push(first);
      length += first.length;
      if (length > maxLineLength) throw damaged();
      const rest = others.pop();
      if (rest === undefined) continue;
      yield begun.join('');
      yield* others;
      begun = [rest];
      length = rest.length;
    }
    if (length > 0) throw damaged();
  } catch (error) {
    const isOfFile = (error as NodeJS.ErrnoException).syscall !== undefined;
    throw isOfFile || error instanceof BackupFileError ? error : damaged(error);
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}
