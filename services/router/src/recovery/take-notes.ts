import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { RedisWatch } from '@dicom-dispatch/runtime';
import { readFeedState, readSourceStatus } from '@dicom-dispatch/state/feed';
import {
  isDamaged,
  type DeliveryRecord,
  type DeliverySelection,
  type Found,
  type StudyKey,
} from '@dicom-dispatch/state/records';
import { unfinished, type Notes, type SourceNotes, type StudyNote } from './notes.ts';
import { SettledStudies } from './settled.ts';

/** Studies without an open delivery that are remembered, of each source: those that were routed last. */
const maxSettled = 2_000;
/** Studies with an open delivery. When there are more, the latest are remembered. */
const maxOpen = 20_000;
const batch = 500;
/** Changes that were written while the last notes were taken are read once more. */
const overlapMs = 5_000;

interface Remembered {
  studies: Map<string, StudyNote>;
  completeFrom: number;
}

/**
 * Takes notes of the data in Redis. Changes since the last time are read; data that were read while Redis was
 * losing data are discarded.
 */
export class NoteTaker {
  readonly #context: PipelineContext;
  readonly #watch: RedisWatch;
  #sources = new Map<string, Remembered>();
  #readTo = 0;
  #notes: Notes | undefined;
  readonly #former: Notes | undefined;

  /** @param former - notes of a previous process: they remain true for studies whose records are damaged since */
  constructor(context: PipelineContext, watch: RedisWatch, former?: Notes) {
    this.#context = context;
    this.#watch = watch;
    this.#former = former;
  }

  get notes(): Notes | undefined {
    return this.#notes;
  }

  /** @throws RedisLost, or errors of Redis; the notes are unchanged then */
  async take(): Promise<Notes> {
    const { redis } = this.#context;
    // A command that is repeated over a new connection may return older data: half of a study would be noted.
    let isReconnected = false;
    const reconnected = (): void => void (isReconnected = true);
    redis.on('close', reconnected).on('-node', reconnected);
    try {
      return await this.#take(() => {
        if (isReconnected) throw new Error('the connection to Redis was lost in the meantime');
      });
    } finally {
      redis.off('close', reconnected).off('-node', reconnected);
    }
  }

  /** @param check - throws if the read data are inconsistent */
  async #take(check: () => void): Promise<Notes> {
    const { redis, keys, config, queues } = this.#context;
    const { prefix } = config().redis;
    const generation = this.#watch.known;
    const takenAt = this.#watch.clock.now();
    const changed = await this.#readChanged(takenAt);
    const names = Object.keys(config().sources);
    const [held, paused, feeds] = await Promise.all([
      redis.smembers(keys.held),
      Promise.all(Object.keys(config().targets).map(async (one) => ((await queues.target(one).isPaused()) ? one : []))),
      Promise.all(
        names.map(async (name) => ({
          name,
          feed: await readFeedState(redis, prefix, name),
          skewMs: (await readSourceStatus(redis, prefix, name))?.skewMs ?? 0,
        })),
      ),
    ]);
    await this.#watch.confirm();
    check();
    if (!generation || generation.id !== this.#watch.known?.id) throw new Error('Redis was recovered in the meantime');
    this.#remember(changed);
    this.#readTo = takenAt;
    const sources = new Map(
      feeds.flatMap(({ name, feed, skewMs }): [string, SourceNotes][] => {
        const { studies, completeFrom } = this.#of(name);
        return feed ? [[name, { feed, skewMs, studies, completeFrom }]] : [];
      }),
    );
    this.#notes = { generation, takenAt, sources, held, pausedTargets: paused.flat() };
    return this.#notes;
  }

  #of(source: string): Remembered {
    const known = this.#sources.get(source) ?? { studies: new Map<string, StudyNote>(), completeFrom: 0 };
    this.#sources.set(source, known);
    return known;
  }

  /** Studies with a delivery that has changed since the last notes; initially all open ones, and the latest. */
  async #readChanged(now: number): Promise<Map<string, Map<string, StudyNote>>> {
    const { records } = this.#context;
    const wanted = new Map<string, Set<string>>();
    const note = ({ source, orthancStudyId }: { source: string; orthancStudyId: string }): void => {
      const ids = wanted.get(source) ?? new Set();
      wanted.set(source, ids.add(orthancStudyId));
    };
    const since = this.#readTo === 0 ? undefined : Math.min(now, this.#readTo) - overlapMs;
    if (since === undefined) for (const state of ['waiting', 'active'] as const) await this.#each({ state }, note);
    else await this.#each({ since }, (record) => this.#isNoted(record) || note(record));
    for (const source of Object.keys(this.#context.config().sources)) {
      // Those that no rule matched have no delivery.
      const latest = await records.studies({ source, since, limit: maxSettled });
      for (const study of latest.records) note(study);
    }
    const read = new Map<string, Map<string, StudyNote>>();
    for (const [source, ids] of wanted) read.set(source, await this.#readStudies(source, [...ids]));
    if (since === undefined) {
      await this.#addSettled(read);
      await this.#addDamaged(read);
    }
    return read;
  }

  /** Studies of the notes of a previous process whose records are damaged: no list has them. */
  async #addDamaged(read: Map<string, Map<string, StudyNote>>): Promise<void> {
    for (const source of Object.keys(this.#context.config().sources)) {
      const notes = read.get(source) ?? new Map<string, StudyNote>();
      const unread = [...this.#formerOf(source)].filter(([id]) => !notes.has(id));
      for (let from = 0; from < unread.length; from += batch) {
        const part = unread.slice(from, from + batch);
        const studies = await this.#context.records.studiesById(
          source,
          part.map(([id]) => id),
        );
        for (const [at, [id, note]] of part.entries()) if (isDamaged(studies[at])) notes.set(id, note);
      }
      if (notes.size > 0) read.set(source, notes);
    }
  }

  /** Notes of a previous process about the same data. */
  #formerOf(source: string): ReadonlyMap<string, StudyNote> {
    const former = this.#former;
    const isSame = former !== undefined && former.generation.id === this.#watch.known?.id;
    return (isSame ? former.sources.get(source)?.studies : undefined) ?? new Map();
  }

  #knownOf(source: string, orthancStudyId: string): StudyNote | undefined {
    return this.#of(source).studies.get(orthancStudyId) ?? this.#formerOf(source).get(orthancStudyId);
  }

  /** Whether a study that is still being received is noted as it is: progress alone is no change, and is written every few seconds. */
  #isNoted({ arriving, source, orthancStudyId, deliveryId, target, group, state }: DeliveryRecord): boolean {
    if (arriving === undefined) return false;
    const study = this.#sources.get(source)?.studies.get(orthancStudyId);
    const noted = study?.deliveries.find(({ id }) => id === deliveryId);
    return noted?.state === state && noted.target === target && noted.group === group?.name;
  }

  /** Studies of an earlier recovery: Redis has no records of them. */
  async #addSettled(read: Map<string, Map<string, StudyNote>>): Promise<void> {
    const { redis, config } = this.#context;
    for (const source of Object.keys(config().sources)) {
      const settled = await new SettledStudies(redis, config().redis.prefix, source).notes();
      if (settled.size > 0) read.set(source, new Map([...settled, ...(read.get(source) ?? [])]));
    }
  }

  async #each(selection: DeliverySelection, act: (record: DeliveryRecord) => unknown): Promise<void> {
    let after: Found<DeliveryRecord>['next'];
    let count = 0;
    do {
      const found = await this.#context.records.deliveries({ ...selection, limit: batch, after });
      for (const record of found.records) act(record);
      count += found.records.length;
      after = found.next;
    } while (after && count < maxOpen);
  }

  async #readStudies(source: string, ids: readonly string[]): Promise<Map<string, StudyNote>> {
    const { records } = this.#context;
    const read = new Map<string, StudyNote>();
    for (let from = 0; from < ids.length; from += batch) {
      const part = ids.slice(from, from + batch);
      const studies = await records.studiesById(source, part);
      for (const [at, orthancStudyId] of part.entries()) {
        const study = studies[at];
        if (!study) continue;
        const deliveries = await this.#deliveriesOf({ source, orthancStudyId });
        // With a damaged record, the former note remains true: such a study is not routed.
        const noted = isDamaged(study) || !deliveries ? this.#knownOf(source, orthancStudyId) : undefined;
        if (!deliveries && noted) read.set(orthancStudyId, noted);
        if (!deliveries || (isDamaged(study) && deliveries.length === 0)) continue;
        read.set(orthancStudyId, {
          lastUpdate: isDamaged(study) ? noted?.lastUpdate : study.lastUpdate,
          routedAt: isDamaged(study) ? (noted?.routedAt ?? deliveries[0]?.routedAt ?? 0) : study.routedAt,
          deliveries: deliveries.map(({ deliveryId: id, target, group, state }) => ({
            id,
            target,
            group: group?.name,
            state,
          })),
        });
      }
    }
    return read;
  }

  /** Undefined if a record of one is damaged: the former note of the study is kept then. */
  async #deliveriesOf(key: StudyKey): Promise<DeliveryRecord[] | undefined> {
    try {
      return await this.#context.records.deliveriesOf(key, batch);
    } catch (error) {
      if (isDamaged(error)) return undefined;
      throw error;
    }
  }

  #remember(changed: ReadonlyMap<string, ReadonlyMap<string, StudyNote>>): void {
    for (const [source, studies] of changed) {
      const remembered = this.#of(source);
      const all = new Map([...remembered.studies, ...studies]);
      const open = [...all].filter(([, study]) => unfinished(study).length > 0);
      const settled = [...all].filter(([, study]) => unfinished(study).length === 0);
      const keptOpen = newest(open, maxOpen);
      const keptSettled = newest(settled, maxSettled);
      const left = [...open.filter(([id]) => !keptOpen.has(id)), ...settled.filter(([id]) => !keptSettled.has(id))];
      const lastLeft = Math.max(0, ...left.map(([, { routedAt }]) => routedAt + 1));
      // Studies that were routed before this process began, and that it has not read, are unknown too.
      const before = this.#readTo === 0 && settled.length >= maxSettled ? oldest(settled) : 0;
      this.#sources.set(source, {
        studies: new Map([...keptOpen, ...keptSettled]),
        completeFrom: Math.max(remembered.completeFrom, lastLeft, before),
      });
    }
  }
}

function newest(studies: readonly [string, StudyNote][], max: number): Map<string, StudyNote> {
  return new Map(studies.toSorted(([, one], [, other]) => other.routedAt - one.routedAt).slice(0, max));
}

/** The earliest routing of the studies. Those that the source had before it was followed were never routed, and are ignored. */
function oldest(studies: readonly [string, StudyNote][]): number {
  const times = studies.flatMap(([, { routedAt }]) => (routedAt > 0 ? [routedAt] : []));
  return times.reduce((least, at) => Math.min(least, at), times[0] ?? 0);
}
