import { maxStudiesTogether, OrthancError } from '@dicom-dispatch/orthanc';
import type { Logger } from '@dicom-dispatch/runtime';
import { readSnapshots, type OrthancClient, type StudySnapshot } from '@dicom-dispatch/sources';
import type { PutOff } from './put-off.ts';

/** Maximum age of a snapshot that is routed. */
const defaultMaxAgeMs = 1_000;
/** Limit of one reading. */
const defaultLimitMs = 5_000;
/** How long studies are read separately after a failure. */
const defaultAloneMs = 30_000;
/** Remembered studies of failed readings. */
const maxDoubted = 10_000;
/** Remembered studies that were read separately: more than a router reads within the maximum age of a snapshot. */
const maxSeparate = 10_000;

/** Maximum number of studies that are read together. */
export const maxTogether = maxStudiesTogether;

/** A study as it was in the source a moment ago. */
export interface RecentSnapshot {
  readonly snapshot: StudySnapshot;
  /** When reading it began, by `performance.now()`. */
  readonly fromMs: number;
  /** Until when it may be routed, by `performance.now()`. */
  readonly untilMs: number;
}

/** The snapshot if it is recent enough to be routed. */
export function ifRecent(recent: RecentSnapshot | undefined): StudySnapshot | undefined {
  return recent && performance.now() < recent.untilMs ? recent.snapshot : undefined;
}

export interface ReadTogetherOptions {
  /** Maximum age of a snapshot that is routed, from the beginning of reading. Default 1 s. */
  readonly maxAgeMs?: number;
  /** Default 5 s. */
  readonly limitMs?: number;
  /** Default 30 s. */
  readonly aloneMs?: number;
}

interface ReadTogetherDependencies extends ReadTogetherOptions {
  readonly source: string;
  readonly orthanc: OrthancClient;
  readonly putOff: Pick<PutOff, 'notDue'>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Reads studies of one source together, to save requests. It only saves time: a study that is missing in a result is read
 * separately, and only that shows what is wrong with it. A study that makes a reading fail or slows it down must not do so again:
 * after a failure all studies are read separately for some time, and those of the failed reading until they are routed.
 */
export class ReadTogether {
  readonly #dependencies: ReadTogetherDependencies;
  /** Studies of failed readings. */
  readonly #doubted = new Set<string>();
  /** When studies were read separately. */
  readonly #separate = new Map<string, number>();
  #aloneUntil = Number.NEGATIVE_INFINITY;

  constructor(dependencies: ReadTogetherDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Postponed studies are not read.
   *
   * @returns by Orthanc id; never an error of the source
   * @throws errors of Redis
   */
  async read(orthancStudyIds: readonly string[]): Promise<ReadonlyMap<string, RecentSnapshot>> {
    const { source, orthanc, putOff, log, signal } = this.#dependencies;
    const { maxAgeMs = defaultMaxAgeMs, limitMs = defaultLimitMs } = this.#dependencies;
    if (performance.now() < this.#aloneUntil) return new Map();
    const notDue = await putOff.notDue(orthancStudyIds);
    const ids = orthancStudyIds.filter((id) => !notDue.has(id) && !this.#doubted.has(id));
    if (ids.length < 2) return new Map();
    const fromMs = performance.now();
    const untilMs = fromMs + maxAgeMs;
    try {
      const limited = AbortSignal.any([signal, AbortSignal.timeout(limitMs)]);
      const found = await readSnapshots(orthanc, source, ids, untilMs, limited);
      // Later ones would be too old as well, and be read twice.
      if (performance.now() >= untilMs) this.#readAlone();
      return new Map(Array.from(found, ([id, snapshot]) => [id, { snapshot, fromMs, untilMs }]));
    } catch (error) {
      if (signal.aborted) throw error;
      this.#readAlone();
      this.#doubt(ids);
      const reason = error instanceof OrthancError ? error.code : 'internal';
      log.debug({ source, studies: ids.length, reason }, 'studies are read separately for some time');
      return new Map();
    }
  }

  /**
   * Call this before a study is routed. Feed, sweep and postponed studies may route one study at the same time: what was read first
   * must not be routed last.
   *
   * @returns the snapshot, unless the study was read separately since then
   */
  newest(orthancStudyId: string, recent: RecentSnapshot | undefined): RecentSnapshot | undefined {
    if (recent && (this.#separate.get(orthancStudyId) ?? Number.NEGATIVE_INFINITY) < recent.fromMs) return recent;
    this.#separate.delete(orthancStudyId);
    this.#separate.set(orthancStudyId, performance.now());
    const [oldest] = this.#separate.keys();
    if (this.#separate.size > maxSeparate && oldest !== undefined) this.#separate.delete(oldest);
    return undefined;
  }

  /** Call this when a study was routed. */
  routed(orthancStudyId: string): void {
    this.#doubted.delete(orthancStudyId);
  }

  #readAlone(): void {
    this.#aloneUntil = performance.now() + (this.#dependencies.aloneMs ?? defaultAloneMs);
  }

  #doubt(ids: readonly string[]): void {
    for (const id of ids) this.#doubted.add(id);
    for (const oldest of this.#doubted) {
      if (this.#doubted.size <= maxDoubted) break;
      this.#doubted.delete(oldest);
    }
  }
}
