import { setTimeout as sleep } from 'node:timers/promises';
import type { SourceConfig } from '@dicom-dispatch/core';
import { eachBounded, type Change, type OrthancClient } from '@dicom-dispatch/orthanc';
import type { Logger } from '@dicom-dispatch/runtime';
import { sourceError, toSourceTime } from '@dicom-dispatch/sources';
import type { FeedState } from '@dicom-dispatch/state/feed';
import type { FeedStore } from './feed-store.ts';
import { FeedCheck } from './feed-check.ts';
import { missedMs, type Came } from './held-arrivals.ts';
import { firstState } from './first-state.ts';
import type { MisdatedInstance } from './misdated.ts';
import { LeaseLost } from './lease-lost.ts';
import type { Lease } from './lease.ts';
import { maxTogether, type RecentSnapshot } from './read-together.ts';
import { advanced, readPage, trailingWindow } from './read-feed.ts';

export interface FollowDependencies {
  readonly source: string;
  readonly config: SourceConfig;
  readonly orthanc: OrthancClient;
  readonly store: FeedStore;
  readonly lease: Lease;
  /** The source's clock now, in ms since 1970. */
  sourceNow(): Promise<number>;
  /** How long before the latest reading that clock may have been set, in ms. */
  sourceUnseenMs(): number;
  /** Called with instances that arrived after the start, and whose dates are before it; resolves when this is durable. */
  misdated(instances: readonly MisdatedInstance[]): Promise<void>;
  /** Called before a source is followed for the first time, and before studies of changes that are new are routed. */
  beforeRouting(): Promise<void>;
  /** Reads studies together, to save time; studies may be missing in the result. */
  readTogether(orthancStudyIds: readonly string[]): Promise<ReadonlyMap<string, RecentSnapshot>>;
  /** Routes a study, or puts it off; resolves when that is durable. */
  route(orthancStudyId: string, epoch: number, recent: RecentSnapshot | undefined): Promise<unknown>;
  /** Studies that are sent while they are received. */
  readonly arrivals: {
    /** Called after each read with its instances and stable series, which may be none; does not block. */
    came(came: Came, epoch: number): void;
    /** Whether some of them wait until the next read shows whether more are coming. */
    readonly isHolding: boolean;
    /** Whether the plugin of the source announces instances at this moment. */
    readonly isPushed: boolean;
  };
  /** Called with the position in the feed, and whether the feed has been read to its end. */
  onProgress(state: FeedState, newestSeq: number, isEnd: boolean): void;
  /** Called when the database behind the source is another one. */
  anotherDatabase(): void;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Studies of one page that are routed at the same time: the commands of all go to Redis together. */
const lanes = 48;
/** Batches that are processed at the same time: one is read while another is routed. */
const batchLanes = 3;
/** Longest pause between two reads of a feed while instances are pushed. */
const maxPushedPauseMs = 5_000;
/** Pause before the feed is read again to find out whether more instances are coming. */
const lookAgainMs = 200;

/**
 * Follows the change feed of one source as its leader, as long as it leads. The cursor is moved only after all
 * studies of a page are durably enqueued, or postponed, and only while the lease is held.
 *
 * @throws LeaseLost, or DispatchError if the source or Redis cannot be queried
 */
export async function followFeed(dependencies: FollowDependencies): Promise<never> {
  const { store, orthanc, signal } = dependencies;
  let state = (await store.read()) ?? (await begin(dependencies));
  /** Numbers of the trailing window that were dealt with by this leader. */
  const seen = new Set<number>();
  const check = new FeedCheck(orthanc, signal);
  for (;;) {
    signal.throwIfAborted();
    await keep(dependencies, state);
    state = await rightSince(dependencies, await checkFeed(dependencies, check, state, seen), seen);
    let since = Math.max(0, state.floor ?? 0, state.seq - trailingWindow);
    let newSeq: number | undefined;
    for (let isLast = false; !isLast;) {
      const page = await ask(dependencies, () => readPage(orthanc, since, signal));
      const changes = page.changes.filter((change) => !seen.has(change.Seq));
      await noteMisdated(dependencies, state, changes);
      await routeStudies(dependencies, state, changes);
      for (const change of page.changes) seen.add(change.Seq);
      state = await moveTo(dependencies, advanced(state, page.changes), state);
      // A page that does not advance would be requested again and again.
      isLast = page.isLast || page.next <= since;
      since = page.next;
      if (isLast) continue;
      // Catching up with a million studies takes hours. Meanwhile the lag must be visible, and new studies must not wait for
      // existing ones: the cursor finds them known later.
      newSeq ??= (await ask(dependencies, () => orthanc.lastChange({ signal })))?.Seq ?? 0;
      newSeq = await routeNew(dependencies, state, newSeq);
      dependencies.onProgress(state, Math.max(state.seq, since, newSeq), false);
    }
    forgetBefore(seen, state.seq - trailingWindow);
    dependencies.onProgress(state, Math.max(state.seq, since), true);
    await pause(dependencies, state);
  }
}

/** Waits for the next read of the feed. Arrived instances that wait for further ones are checked in between. */
async function pause(dependencies: FollowDependencies, state: FeedState): Promise<void> {
  const { config, arrivals, orthanc, signal } = dependencies;
  let leftMs = pauseMs(config, arrivals.isPushed);
  const againMs = arrivals.isPushed ? missedMs : lookAgainMs;
  if (arrivals.isHolding && leftMs > againMs) {
    await sleep(againMs, undefined, { signal });
    leftMs -= againMs;
    if (arrivals.isHolding) {
      const { changes } = await ask(dependencies, () => readPage(orthanc, state.seq, signal));
      await dependencies.beforeRouting();
      if (!dependencies.lease.isHeld) throw new LeaseLost('another router leads the source');
      arrivals.came(cameOf(changes, state), state.epoch);
    }
  }
  await sleep(leftMs, undefined, { signal });
}

/** Pause between two reads of the feed. While instances are pushed it is longer: the feed then only shows what a push has missed. */
export function pauseMs({ pollInterval }: Pick<SourceConfig, 'pollInterval'>, isPushed: boolean): number {
  return isPushed ? Math.max(pollInterval, Math.min(5 * pollInterval, maxPushedPauseMs)) : pollInterval;
}

/** Where to begin with a source that is seen for the first time. */
async function begin(dependencies: FollowDependencies): Promise<FeedState> {
  const { source, config, log } = dependencies;
  // A source that is new here may use the database of one that is followed.
  await dependencies.beforeRouting();
  const state = await ask(dependencies, () =>
    firstState({ ...dependencies, startFrom: config.startFrom, sourceNow: () => dependencies.sourceNow() }),
  );
  await write(dependencies, state);
  log.info(
    { source, startFrom: config.startFrom, seq: state.seq, since: state.since },
    'source is followed for the first time',
  );
  return state;
}

/** Starts a new epoch at the beginning of the feed when it is not the feed that was followed. */
async function checkFeed(
  dependencies: FollowDependencies,
  check: FeedCheck,
  state: FeedState,
  seen: Set<number>,
): Promise<FeedState> {
  const { log, source } = dependencies;
  if (!(await ask(dependencies, () => check.isAnother(state)))) return state;
  const { floor: _, beganAt: __, firstSeen: ___, datedUpTo: ____, ...rest } = state;
  const next: FeedState = { ...rest, epoch: state.epoch + 1, seq: 0, fingerprint: undefined, anchors: [] };
  seen.clear();
  await write(dependencies, next);
  log.warn(
    { source, epoch: next.epoch, followedTo: state.seq },
    'the database of the source was emptied, restored or replaced: its change feed is followed from the start',
  );
  dependencies.anotherDatabase();
  return next;
}

/**
 * A source clock that was ahead and has been set back must not hide new studies, nor those that arrived before this was
 * detected: by their dates they would be older than the start. If the numbers of changes show which studies arrived later,
 * none can be missed.
 */
async function rightSince(dependencies: FollowDependencies, state: FeedState, seen: Set<number>): Promise<FeedState> {
  if (state.beganAt !== undefined || dependencies.config.startFrom !== 'now' || state.since === '') return state;
  const nowMs = await ask(dependencies, () => dependencies.sourceNow());
  // The source's clock is known to about a second.
  if (toSourceTime(nowMs + 1_000) >= state.since) return state;
  const since = toSourceTime(nowMs - dependencies.sourceUnseenMs() - 1_000);
  const next = { ...state, since };
  await write(dependencies, next);
  seen.clear();
  dependencies.log.warn(
    { source: dependencies.source, before: state.since, since },
    'the clock of the source was set back: all changes since the last check are routed',
  );
  return next;
}

/**
 * Whether a change must be routed. The clock of a source may be set back for a short time without detection; the order of its
 * changes is unaffected.
 */
function isMeant({ Date, Seq }: Change, { since, beganAt, datedUpTo }: FeedState): boolean {
  if (beganAt !== undefined && Seq > beganAt) return true;
  // Existing studies dated in the future were dated by a wrong clock.
  return Date >= since && (datedUpTo === undefined || Date <= datedUpTo);
}

/** Notes instances whose dates would hide their studies from the sweep, or let these wait as if they had existed before. */
async function noteMisdated(
  dependencies: FollowDependencies,
  state: FeedState,
  changes: readonly Change[],
): Promise<void> {
  const { beganAt, since, firstSeen = since } = state;
  if (beganAt === undefined) return;
  const came = changes.filter(
    ({ ChangeType, Date, Seq }) => ChangeType === 'NewInstance' && Seq > beganAt && (Date < since || Date < firstSeen),
  );
  if (came.length === 0) return;
  await ask(dependencies, () =>
    dependencies.misdated(came.map(({ ID, Seq }) => ({ orthancInstanceId: ID, seq: Seq }))),
  );
}

async function routeStudies(
  dependencies: FollowDependencies,
  state: FeedState,
  changes: readonly Change[],
): Promise<void> {
  const studies = idsOf(changes, 'StableStudy', state);
  const came = cameOf(changes, state);
  const isNews = studies.length + came.instances.length + came.series.length > 0;
  if (isNews) await dependencies.beforeRouting();
  if (isNews || dependencies.arrivals.isHolding) dependencies.arrivals.came(came, state.epoch);
  const batches: string[][] = [];
  for (let at = 0; at < studies.length; at += maxTogether) batches.push(studies.slice(at, at + maxTogether));
  const routeLanes = Math.ceil(lanes / Math.min(batchLanes, batches.length));
  /** After an error no further study is started: the same ones are read from the feed again. */
  const stopped = new AbortController();
  const routeBatch = async (ids: readonly string[]): Promise<void> => {
    const recent = await dependencies.readTogether(ids);
    const route = async (id: string): Promise<void> => {
      dependencies.signal.throwIfAborted();
      if (!dependencies.lease.isHeld) throw new LeaseLost('another router leads the source');
      await dependencies.route(id, state.epoch, recent.get(id));
    };
    await eachBounded(ids, routeLanes, route, stopped);
  };
  await eachBounded(batches, batchLanes, routeBatch, stopped);
}

/** Ids of the resources with a change of this type that must be routed. */
function idsOf(changes: readonly Change[], type: string, state: FeedState): string[] {
  return [
    ...new Set(changes.flatMap((change) => (change.ChangeType === type && isMeant(change, state) ? [change.ID] : []))),
  ];
}

function cameOf(changes: readonly Change[], state: FeedState): Came {
  return { instances: idsOf(changes, 'NewInstance', state), series: idsOf(changes, 'StableSeries', state) };
}

/** @returns the number up to which new changes have been dealt with */
async function routeNew(dependencies: FollowDependencies, state: FeedState, from: number): Promise<number> {
  const page = await ask(dependencies, () => readPage(dependencies.orthanc, from, dependencies.signal));
  await noteMisdated(dependencies, state, page.changes);
  await routeStudies(dependencies, state, page.changes);
  return page.next;
}

async function moveTo(dependencies: FollowDependencies, next: FeedState, now: FeedState): Promise<FeedState> {
  if (next !== now) await write(dependencies, next);
  return next;
}

async function write(dependencies: FollowDependencies, state: FeedState): Promise<void> {
  if (!(await dependencies.store.write(state, dependencies.lease.token)))
    throw new LeaseLost('another router leads the source');
}

/** Restores the cursor if it alone was removed from Redis. */
async function keep({ store, lease, log, source }: FollowDependencies, state: FeedState): Promise<void> {
  const kept = await store.keep(state, lease.token);
  if (kept === 'gone') throw new LeaseLost('another router leads the source');
  if (kept === 'restored') {
    log.error({ source, seq: state.seq }, 'the place in the change feed was missing in Redis, and was written again');
  }
}

async function ask<T>(dependencies: FollowDependencies, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw sourceError(error, dependencies.source);
  }
}

function forgetBefore(seen: Set<number>, seq: number): void {
  for (const one of seen) if (one <= seq) seen.delete(one);
}
