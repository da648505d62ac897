import { jsonCodec, type Codec } from '../intermediate/codec.ts';
import type { Attributes, SeriesObject, StudyObject } from './dicom-object.ts';

/** A cached study: without its series, which are separate branches. */
export interface StudyBranch {
  readonly attributes: Attributes;
  /** Known series of it. */
  readonly series: readonly string[];
  /** Whether these are all. */
  readonly complete: boolean;
  /** ms since 1970; 0 = never. */
  readonly expiresAt: number;
}

/** A series with its instances. They are small and many: stored together they take a tenth of the memory of single entries. */
export interface SeriesBranch {
  readonly attributes: Attributes;
  readonly instances: Readonly<Record<string, Attributes>>;
  readonly complete: boolean;
  readonly expiresAt: number;
}

export const studyCodec: Codec<StudyBranch> = checkedCodec((branch) => Array.isArray(branch.series));
export const seriesCodec: Codec<SeriesBranch> = checkedCodec((branch) => typeof branch.instances === 'object');

function checkedCodec<T extends { readonly attributes: Attributes }>(isOne: (branch: T) => boolean): Codec<T> {
  const { encode, decode } = jsonCodec<T>();
  return {
    encode,
    decode(bytes) {
      const branch = decode(bytes);
      if (typeof branch !== 'object' || typeof branch.attributes !== 'object' || !isOne(branch)) {
        throw new TypeError('no branch of this version');
      }
      return branch;
    },
  };
}

/** New values replace known ones; others are preserved, but expire no later than before. */
export function mergeStudy(
  old: StudyBranch | undefined,
  study: StudyObject,
  complete: boolean,
  expiresAt: number,
): StudyBranch {
  const series = (study.series ?? []).map((one) => one.seriesInstanceUid);
  const fresh = { attributes: study.attributes, series, complete, expiresAt };
  if (!old) return fresh;
  // A complete result shows for each series whether it exists; any other leaves known ones unchanged.
  const kept = complete ? [] : old.series.filter((uid) => !series.includes(uid));
  const carriesOver = kept.length > 0 || lacks(study.attributes, old.attributes);
  return {
    attributes: { ...old.attributes, ...study.attributes },
    series: [...series, ...kept],
    complete: complete || (old.complete && series.every((uid) => old.series.includes(uid))),
    expiresAt: carriesOver ? earlier(old.expiresAt, expiresAt) : expiresAt,
  };
}

export function mergeSeries(
  old: SeriesBranch | undefined,
  series: SeriesObject,
  complete: boolean,
  expiresAt: number,
): SeriesBranch {
  const instances = Object.fromEntries((series.instances ?? []).map((one) => [one.sopInstanceUid, one.attributes]));
  if (!old) return { attributes: series.attributes, instances, complete, expiresAt };
  const merged: Record<string, Attributes> = complete ? {} : { ...old.instances };
  let carriesOver = lacks(series.attributes, old.attributes);
  for (const [uid, known] of Object.entries(old.instances)) {
    const given = instances[uid];
    if (given ? lacks(given, known) : !complete) carriesOver = true;
  }
  for (const [uid, given] of Object.entries(instances)) merged[uid] = { ...old.instances[uid], ...given };
  return {
    attributes: { ...old.attributes, ...series.attributes },
    instances: merged,
    complete: complete || (old.complete && Object.keys(instances).every((uid) => uid in old.instances)),
    expiresAt: carriesOver ? earlier(old.expiresAt, expiresAt) : expiresAt,
  };
}

function lacks(given: Attributes, known: Attributes): boolean {
  return Object.keys(known).some((name) => !(name in given));
}

function earlier(one: number, other: number): number {
  if (one === 0 || other === 0) return one || other;
  return Math.min(one, other);
}
