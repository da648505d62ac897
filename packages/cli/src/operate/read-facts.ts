import { open } from 'node:fs/promises';
import type { RuleFacts } from '@dicom-dispatch/core';
import { decodePart10, type DataSet } from 'dicom-dimse/dataset';
import { z } from 'zod';
import { CommandError, exitCodes } from '../exit.ts';

/** Values that are not in the file. */
export interface FactsOptions {
  readonly source: string;
  readonly now: Date | undefined;
}

/** Maximum number of bytes read from a DICOM file; pixel data are last, and not needed. */
const headBytes = 32 * 1024 * 1024;
const maxJsonBytes = 16 * 1024 * 1024;

/** A map of tags. Values that are not text, such as sequences, are removed: expressions cannot use them. */
const texts = z
  .record(z.string(), z.unknown())
  .transform((tags) =>
    Object.fromEntries(
      Object.entries(tags).flatMap(([name, value]) => (typeof value === 'string' ? [[name, value] as const] : [])),
    ),
  );

const wholeFacts = z.object({
  source: z.string().optional(),
  study: z.record(z.string(), z.unknown()),
  series: z.array(texts).default([]),
  origin: texts.default({}),
});

/**
 * A DICOM file as a study with one instance. Its origin is unknown.
 *
 * @throws CommandError if it cannot be read
 */
export async function factsOfFile(file: string, factsOptions: FactsOptions): Promise<RuleFacts> {
  const { bytes } = await readStart(file, headBytes);
  let tags: DataSet;
  try {
    tags = decodePart10(bytes);
  } catch (error) {
    throw new CommandError(`${file} is not a readable DICOM file`, exitCodes.usage, { cause: error });
  }
  return factsOf(asTexts(tags), undefined, {}, factsOptions);
}

/**
 * Tags in JSON: flat, as in Orthanc's `/instances/ID/simplified-tags`, for a study with one series; or
 * `{ study, series, origin, source }`, as in expressions.
 *
 * @throws CommandError if it cannot be read
 */
export async function factsOfTags(file: string, factsOptions: FactsOptions): Promise<RuleFacts> {
  const { bytes, isWhole } = await readStart(file, maxJsonBytes);
  if (!isWhole) throw new CommandError(`${file} is larger than ${maxJsonBytes} bytes`, exitCodes.usage);
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new CommandError(`${file} is not JSON: ${(error as Error).message}`, exitCodes.usage, { cause: error });
  }
  const whole = wholeFacts.safeParse(json);
  if (whole.success) {
    const { source = factsOptions.source, study, series, origin } = whole.data;
    return factsOf(study, series, origin, { ...factsOptions, source });
  }
  const flat = texts.safeParse(json);
  if (flat.success && typeof json === 'object' && !('study' in (json as object))) {
    return factsOf(flat.data, undefined, {}, factsOptions);
  }
  throw new CommandError(
    `${file} has neither tags by keyword nor { study, series, origin }: ${z.prettifyError(whole.error).replaceAll('\n', ' ')}`,
    exitCodes.usage,
  );
}

/** @param series - undefined: one, with the same tags as the study */
function factsOf(
  study: Readonly<Record<string, unknown>>,
  series: readonly Readonly<Record<string, string>>[] | undefined,
  origin: Readonly<Record<string, string>>,
  { source, now }: FactsOptions,
): RuleFacts {
  const ofStudy = texts.parse(study);
  const all = series ?? [ofStudy];
  const given = study['ModalitiesInStudy'];
  const modalities = Array.isArray(given)
    ? given.map(String)
    : typeof given === 'string'
      ? given.split('\\')
      : [...new Set(all.flatMap(({ Modality }) => Modality ?? []))];
  const arrivedAt = origin['ArrivedAt'] === undefined ? undefined : new Date(origin['ArrivedAt']);
  if (arrivedAt && Number.isNaN(arrivedAt.getTime())) {
    throw new CommandError('origin.ArrivedAt is not a time: write it as 2026-03-01T22:30:00Z', exitCodes.usage);
  }
  return {
    source,
    study: {
      NumberOfStudyRelatedSeries: String(all.length),
      NumberOfStudyRelatedInstances: '1',
      ...ofStudy,
      ModalitiesInStudy: modalities,
    },
    series: all,
    origin: { ...origin, ...(arrivedAt && { ArrivedAt: arrivedAt }) },
    ...(now && { now }),
  };
}

/** Values in the notation of Orthanc: several are separated by a backslash. */
function asTexts(tags: DataSet): Record<string, string> {
  return Object.fromEntries(
    Object.entries(tags).flatMap(([keyword, value]) => {
      const text = (Array.isArray(value) ? value : [value]).map((one: unknown) => textOf(one));
      const isWhole = text.every((one) => one !== undefined) && text.length > 0;
      return isWhole && text.join('') !== '' ? [[keyword, text.join('\\')] as const] : [];
    }),
  );
}

/** A value as text; a person name with its groups (PS3.5 section 6.2.1). Undefined for a sequence or bytes. */
function textOf(value: unknown): string | undefined {
  if (typeof value === 'string' || typeof value === 'number') return String(value).trim();
  if (typeof value !== 'object' || value === null) return undefined;
  const { Alphabetic, Ideographic, Phonetic } = value as Record<string, unknown>;
  if (![Alphabetic, Ideographic, Phonetic].some((group) => typeof group === 'string')) return undefined;
  return [Alphabetic, Ideographic, Phonetic]
    .map((group) => (typeof group === 'string' ? group : ''))
    .join('=')
    .replace(/=+$/, '');
}

async function readStart(file: string, maxBytes: number): Promise<{ bytes: Buffer; isWhole: boolean }> {
  try {
    await using handle = await open(file);
    const { size } = await handle.stat();
    const bytes = Buffer.alloc(Math.min(size, maxBytes));
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, 0);
    return { bytes: bytes.subarray(0, bytesRead), isWhole: size <= maxBytes };
  } catch (error) {
    throw new CommandError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, exitCodes.usage, {
      cause: error,
    });
  }
}
