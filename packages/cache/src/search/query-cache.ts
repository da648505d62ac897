import { createHash } from 'node:crypto';
import type { IntermediateCache } from '../intermediate/intermediate-cache.ts';
import type { DicomObjectCache } from '../objects/dicom-object-cache.ts';
import type { SeriesObject, StudyObject } from '../objects/dicom-object.ts';
import { canonicalQuery } from './canonical-query.ts';

const type = 'query';
/** A result with more objects is not stored: looking each of them up would cost more than a query. */
const maxObjects = 1_000;

/** The objects of a result: a study, and those of its series and instances that the result contains. */
type Pointer = readonly [study: string, series?: readonly (readonly [series: string, instances?: readonly string[]])[]];

/**
 * Results of queries to one server, as addresses of objects. A result is available as long as every object of it is, and
 * shows the current state of each. Queries may contain names and ids of patients: only their hash is stored.
 */
export class QueryCache {
  readonly #cache: IntermediateCache;
  readonly #objects: DicomObjectCache;
  readonly #scope: string;

  constructor(cache: IntermediateCache, objects: DicomObjectCache, scope: string) {
    this.#cache = cache;
    this.#objects = objects;
    this.#scope = scope;
  }

  /** @param since only a result queried after this tick is used */
  async get(query: unknown, since?: number): Promise<StudyObject[] | undefined> {
    const found = await this.#cache.get(type, this.#key(query));
    if (since !== undefined && !(Number(found?.metadata['askedAt']) > since)) return undefined;
    const pointers = found && pointersIn(found.bytes);
    if (!pointers) return undefined;
    const answer: StudyObject[] = [];
    for (const pointer of pointers) {
      const study = await this.#follow(pointer);
      if (!study) {
        await this.#cache.invalidate(type, this.#key(query));
        return undefined;
      }
      answer.push(study);
    }
    return answer;
  }

  /** Stores a result and its objects. Empty results are not stored: missing studies may arrive the next moment. */
  async put(query: unknown, answer: readonly StudyObject[], askedAt?: number): Promise<void> {
    const pointers = answer.map((study) => pointerTo(study));
    const objects = pointers.reduce(
      (sum, [, series = []]) => sum + 1 + series.reduce((inner, [, instances = []]) => inner + 1 + instances.length, 0),
      0,
    );
    if (objects === 0 || objects > maxObjects) return;
    for (const study of answer) await this.#objects.add(study);
    await this.#cache.put(type, this.#key(query), Buffer.from(JSON.stringify(pointers)), {
      inRedis: true,
      ...(askedAt !== undefined && { metadata: { askedAt } }),
    });
  }

  async #follow([studyInstanceUid, series]: Pointer): Promise<StudyObject | undefined> {
    const study = await this.#objects.getAlone(studyInstanceUid);
    if (!study || !series) return study;
    const children: SeriesObject[] = [];
    for (const [seriesInstanceUid, instances] of series) {
      const child = await this.#objects.getSome(studyInstanceUid, seriesInstanceUid, instances);
      if (!child) return undefined;
      children.push(child);
    }
    return { ...study, series: children };
  }

  #key(query: unknown): string {
    return `${this.#scope}/${createHash('sha256').update(canonicalQuery(query)).digest('base64url')}`;
  }
}

function pointerTo({ studyInstanceUid, series }: StudyObject): Pointer {
  if (!series) return [studyInstanceUid];
  return [
    studyInstanceUid,
    series.map(({ seriesInstanceUid, instances }) =>
      instances ? [seriesInstanceUid, instances.map((one) => one.sopInstanceUid)] : [seriesInstanceUid],
    ),
  ];
}

/** @returns undefined if another version of this package wrote it in another form */
function pointersIn(bytes: Buffer): Pointer[] | undefined {
  try {
    const pointers: unknown = JSON.parse(bytes.toString());
    return Array.isArray(pointers) && pointers.every((one) => Array.isArray(one))
      ? (pointers as unknown as Pointer[])
      : undefined;
  } catch {
    return undefined;
  }
}
