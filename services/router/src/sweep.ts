import { redisKeys } from '@dicom-dispatch/state/keys';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceConfig } from '@dicom-dispatch/core';
import {
  isDamaged,
  RecordMender,
  searchHashes,
  type Records,
  type SearchKey,
  type StudyRecord,
} from '@dicom-dispatch/state/records';
import type { OrthancClient, Study } from '@dicom-dispatch/orthanc';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { sourceError, toSourceTime } from '@dicom-dispatch/sources';
import type { FeedState, SettledStudy } from '@dicom-dispatch/state/feed';
import type { MisdatedStudies } from './misdated.ts';
import { readStudyPage, type StudyPage } from './read-study-page.ts';
import type { SafeOutcome } from './study-router.ts';
import { thereBefore, type ThereBefore } from './there-before.ts';

const pageSize = 100;
/** Maximum number of unreadable studies that are named. */
const maxNamed = 20;

export interface SweepDependencies {
  readonly source: string;
  readonly config: SourceConfig;
  readonly orthanc: OrthancClient;
  readonly records: Records;
  /** How far the source has been followed. */
  readonly feed: FeedState;
  /** The current epoch of the feed. */
  epochNow(): number | undefined;
  readonly redis: Redis;
  readonly prefix: string;
  /** Key of the hashes by which studies are found after they have left; undefined: none are stored. */
  readonly searchKey: SearchKey | undefined;
  /** Redis TIME. */
  now(): number;
  /** The source's clock now, in ms since 1970. */
  sourceNow(): Promise<number>;
  /** Ensures that data read from Redis are not lost data. */
  confirm(): Promise<void>;
  /** Called before studies of a page are routed. */
  beforeRouting(): Promise<void>;
  route(orthancStudyId: string, epoch: number): Promise<SafeOutcome>;
  /** Studies that are checked regardless of their dates. */
  readonly misdated: Pick<MisdatedStudies, 'all' | 'routed'>;
  /** Entries of the studies that are not sent again, or only in part, until they change. */
  settled(orthancStudyIds: readonly string[]): Promise<readonly (SettledStudy | undefined)[]>;
  /** Which of the studies are checked again because a rule waits until they are complete. */
  waiting(orthancStudyIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Remembers of studies that they are not routed until they change. */
  leave(studies: readonly Study[]): Promise<void>;
  /** Postpones a study that cannot be read, or whose record is damaged. */
  putOff(orthancStudyId: string, error: unknown): Promise<void>;
  /** Which of the studies are postponed and not due. */
  notDue(orthancStudyIds: readonly string[]): Promise<ReadonlySet<string>>;
  /** Continues deliveries that ended because the study had left the source. */
  takeBack(orthancStudyIds: readonly string[]): Promise<void>;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface SweepResult {
  readonly studies: number;
  readonly routed: number;
  /** Studies that could not be read, and are put off. */
  readonly unread: number;
  readonly durationMs: number;
}

/**
 * Compares all studies in the source with the routed ones, page by page, and routes missing studies and those that have
 * changed since. The progress is stored in Redis: an interrupted sweep continues there, unless the source has another database since.
 * A study that cannot be read, or whose
 * record in Redis is damaged, is postponed and reported at the end; it stops nothing. Such a study is not routed as a new one: it
 * may have been sent, and its former targets are unknown.
 *
 * A study is skipped if its record has its current LastUpdate, if it is older than the configured start (unless the feed's
 * numbers show that its date is wrong), if the first sweep finds that the source had it before it was followed, or while it
 * still changes; times of the source are compared with the source's own clock.
 */
export async function sweepSource(dependencies: SweepDependencies): Promise<SweepResult> {
  const { source, config, orthanc, records, redis, prefix, log, signal } = dependencies;
  const key = redisKeys(prefix).sweep(source);
  const beganAt = performance.now();
  const { feed } = dependencies;
  const { epoch, since } = feed;
  const [place0, startedAt0, endedAt0, epoch0] = await redis.hmget(key, 'place', 'startedAt', 'endedAt', 'epoch');
  const before = endedAt0 === null ? thereBefore(orthanc, feed, () => dependencies.epochNow(), signal) : undefined;
  // In another database the studies before this place are others.
  let place = epoch0 === String(epoch) ? Number(place0 ?? 0) : 0;
  if (place === 0 || startedAt0 === null) await redis.hset(key, 'startedAt', dependencies.now());
  let studies = 0;
  let routed = 0;
  const unread = new Set<string>();
  const mender = new RecordMender(redis, prefix);
  const misdated = await dependencies.misdated.all();
  for (;;) {
    signal.throwIfAborted();
    const page = await readPage(place);
    studies += page.count;
    for (const id of page.notDue) unread.add(id);
    for (const { id, error } of page.unread) {
      await dependencies.putOff(id, error);
      unread.add(id);
    }
    // Reconciliation finds studies by the index only: entries that the index has lost are restored here.
    const ids = page.studies.map(({ ID }) => ID);
    const entered = await mender.enterStudies(source, ids);
    if (entered > 0) log.error({ source, studies: entered }, 'studies were missing in the index of Redis: added again');
    const meant = await meantOf(page.studies);
    const missing = await needed(meant);
    if (missing.length > 0) await dependencies.beforeRouting();
    for (const study of missing) {
      if ((await dependencies.route(study.ID, epoch)) === 'put-off') unread.add(study.ID);
      else routed += 1;
    }
    await dependencies.misdated.routed(
      meant.flatMap(({ ID }) => {
        const seq = misdated.get(ID);
        return seq === undefined || unread.has(ID) ? [] : [[ID, seq]];
      }),
    );
    await dependencies.takeBack(ids);
    if (page.count < pageSize) break;
    // Studies deleted meanwhile shift the others: half a page is checked twice, so that none is skipped.
    place += pageSize / 2;
    await redis.hset(key, { place, epoch, movedAt: dependencies.now() });
    if (config.sweep.pause > 0) await sleep(config.sweep.pause, undefined, { signal });
  }
  const result = { studies, routed, unread: unread.size, durationMs: Math.round(performance.now() - beganAt) };
  const named = [...unread].slice(0, maxNamed);
  await redis.hset(key, { place: 0, endedAt: dependencies.now(), ...result, unreadStudies: JSON.stringify(named) });
  if (unread.size === 0) log.info({ source, ...result }, 'sweep ended');
  else log.warn({ source, ...result, orthancStudies: named }, 'sweep ended; some studies could not be read');
  return result;

  async function readPage(from: number): Promise<StudyPage> {
    return ask(() =>
      readStudyPage(orthanc, { since: from, limit: pageSize }, (ids) => dependencies.notDue(ids), signal),
    );
  }

  async function ask<T>(act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      throw sourceError(error, source);
    }
  }

  /** Studies that were routed before there was a key, or with a former one. */
  async function makeSearchable(page: readonly Study[], known: ReadonlyMap<string, StudyRecord>): Promise<void> {
    const key = dependencies.searchKey;
    if (!key) return;
    for (const { ID, MainDicomTags: ofStudy, PatientMainDicomTags: ofPatient } of page) {
      const record = known.get(ID);
      if (record?.lastUpdate === undefined || record.search?.key === key.id) continue;
      const values = { accessionNumber: ofStudy['AccessionNumber'], patientId: ofPatient['PatientID'] };
      await records.makeSearchable(record, searchHashes(key, values));
    }
  }

  /** The stable studies of a page that are not too old: only these may be routed. */
  async function meantOf(page: readonly Study[]): Promise<Study[]> {
    const quietSince = toSourceTime((await dependencies.sourceNow()) - config.sweep.settle);
    return page.filter(({ ID, LastUpdate: changed, IsStable: isStable }) => {
      if (changed === undefined) return isStable === true;
      return (changed >= since || misdated.has(ID)) && (isStable === true || changed < quietSince);
    });
  }

  /** Omits studies that the source had before it was followed although they are dated later: they are skipped until they change. */
  async function withoutOld(wasBefore: ThereBefore, wanted: readonly Study[]): Promise<Study[]> {
    const old = await ask(() => wasBefore(wanted));
    if (old.size === 0) return [...wanted];
    const left = wanted.filter(({ ID }) => old.has(ID));
    await dependencies.leave(left);
    log.warn(
      { source, studies: left.length },
      'studies that the source had before it was followed are dated later by a wrong clock: they are not routed until they change',
    );
    return wanted.filter(({ ID }) => !old.has(ID));
  }

  async function needed(due: readonly Study[]): Promise<Study[]> {
    const ids = due.map(({ ID }) => ID);
    const [found, notDue, settled] = await Promise.all([
      records.studiesById(source, ids),
      dependencies.notDue(ids),
      dependencies.settled(ids),
    ]);
    await dependencies.confirm();
    for (const id of notDue) unread.add(id);
    const known = new Map<string, StudyRecord>();
    const unusable = new Set(notDue);
    for (const [index, record] of found.entries()) {
      const id = ids[index] ?? '';
      if (record && !isDamaged(record)) known.set(id, record);
      if (!isDamaged(record)) continue;
      unusable.add(id);
      // Half a page is checked twice.
      if (!unread.has(id)) await dependencies.putOff(id, record);
      unread.add(id);
    }
    await makeSearchable(due, known);
    const waiting = await dependencies.waiting(ids.filter((id) => known.get(id)?.isIncomplete === true));
    const wanted = due.filter(({ ID, LastUpdate }, index) => {
      if (unusable.has(ID)) return false;
      const record = known.get(ID);
      // A study that is marked as incomplete, and is no longer among the waiting ones, would wait forever.
      if (record?.isIncomplete === true && !waiting.has(ID)) return true;
      const was = settled[index];
      const lastUpdate = record?.lastUpdate ?? (was?.only.length === 0 ? was.lastUpdate : undefined);
      return lastUpdate === undefined || lastUpdate !== LastUpdate;
    });
    return before ? withoutOld(before, wanted) : wanted;
  }
}
