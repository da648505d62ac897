import { createHash } from 'node:crypto';
import type { KeyEntry, StudyEntry } from '@dicom-dispatch/state/backup';
import { z } from 'zod';

/*
 * A backup is a gzip file of JSON lines: the head; keys read at one point in time; the studies; the other keys; the end.
 * Each of the three sections ends with the number of its lines and their SHA-256.
 */

export const sections = ['first', 'studies', 'last'] as const;
export type Section = (typeof sections)[number];

/** Version of the layout of the file; that of the data in it is `format`. */
const layout = 1;

const headName = 'dicom-dispatch';
const head = z.object({
  backup: z.literal(headName),
  layout: z.number(),
  /** Format of the data (`packages/state/src/keys/migrate.ts`). */
  format: z.number(),
  /** Start of the backup by the clock of Redis (ms since 1970): it contains everything that had happened by then. */
  madeAt: z.number(),
  /** Version of dicom-dispatch that made the backup. */
  version: z.string(),
  prefix: z.string(),
  pausedTargets: z.array(z.string()),
});
export type BackupHead = z.infer<typeof head>;

const counts = z.object({
  studies: z.number(),
  keys: z.number(),
  /** Number of deliveries by state. */
  deliveries: z.record(z.string(), z.number()),
});
export type BackupCounts = z.infer<typeof counts>;

/** Why a file cannot be restored. */
export class BackupFileError extends Error {
  override readonly name = 'BackupFileError';
}

/** How the text of every backup begins. */
export const headBeginning = `{"backup":"${headName}",`;

export function headLine(facts: Omit<BackupHead, 'backup' | 'layout'>): string {
  return JSON.stringify({ backup: headName, layout, ...facts });
}

/** @throws BackupFileError */
export function readHead(line: string): BackupHead {
  const parsed = head.safeParse(parse(line));
  if (!parsed.success) throw new BackupFileError('it is not a backup of dicom-dispatch');
  if (parsed.data.layout > layout) {
    throw new BackupFileError(
      `a newer version of dicom-dispatch (${parsed.data.version}) created it: restore it with that version`,
    );
  }
  return parsed.data;
}

export function keyLine({ name, type, expiresAt, values }: KeyEntry): string {
  return JSON.stringify([name, type, expiresAt, values]);
}

export function studyLine({ source, orthancStudyId, deliveryIds, held, keys }: StudyEntry): string {
  return JSON.stringify([
    source,
    orthancStudyId,
    deliveryIds,
    held,
    keys.map(({ name, type, expiresAt, values }) => [name, type, expiresAt, values]),
  ]);
}

const texts = z.array(z.string());
const key = z
  .tuple([z.string(), z.enum(['string', 'hash', 'list', 'set', 'zset', 'stream']), z.number().nullable(), texts])
  .transform(([name, type, expiresAt, values]): KeyEntry => ({ name, type, expiresAt, values }));
const study = z
  .tuple([z.string(), z.string(), texts, texts, z.array(key)])
  .transform(([source, orthancStudyId, deliveryIds, held, keys]): StudyEntry => ({
    source,
    orthancStudyId,
    deliveryIds,
    held,
    keys,
  }));
const sectionEnd = z.object({ section: z.enum(sections), lines: z.number(), sha256: z.string() });
const end = z.object({ end: z.literal(true) }).extend(counts.shape);

/** @throws BackupFileError */
export function readKeyLine(line: string): KeyEntry {
  return checked(key.safeParse(parse(line)));
}

/** @throws BackupFileError */
export function readStudyLine(line: string): StudyEntry {
  return checked(study.safeParse(parse(line)));
}

/** @throws BackupFileError */
export function readEnd(line: string): BackupCounts {
  const { studies, keys, deliveries } = checked(end.safeParse(parse(line)));
  return { studies, keys, deliveries };
}

export function endLine(facts: BackupCounts): string {
  return JSON.stringify({ end: true, ...facts });
}

/** Counts and digests the lines of one section. */
export class SectionSum {
  readonly #section: Section;
  readonly #hash = createHash('sha256');
  #lines = 0;

  constructor(section: Section) {
    this.#section = section;
  }

  add(line: string): void {
    this.#lines += 1;
    this.#hash.update(line).update('\n');
  }

  /** The line that ends the section. */
  end(): string {
    return JSON.stringify({ section: this.#section, lines: this.#lines, sha256: this.#hash.digest('hex') });
  }

  /**
   * @param line - possibly the end of the section: no other line is an object
   * @returns false if it is not
   * @throws BackupFileError if the preceding lines were changed
   */
  endsWith(line: string): boolean {
    if (!line.startsWith('{')) return false;
    const { section, lines, sha256 } = checked(sectionEnd.safeParse(parse(line)));
    if (section !== this.#section || lines !== this.#lines || sha256 !== this.#hash.digest('hex')) throw damaged();
    return true;
  }
}

export function damaged(cause?: unknown): BackupFileError {
  return new BackupFileError('it is damaged or incomplete: use another copy', { cause });
}

function checked<T>(parsed: { readonly success: true; readonly data: T } | { readonly success: false }): T {
  if (!parsed.success) throw damaged();
  return parsed.data;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
