import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError, type SourceConfig } from '@dicom-dispatch/core';
import type { Change, OrthancClient } from '@dicom-dispatch/orthanc';
import type { Logger } from '@dicom-dispatch/runtime';
import { sourceError } from '@dicom-dispatch/sources';
import type { FeedState, FeedStore } from './feed-state.ts';
import type { Lease } from './lease.ts';
import { advanced, isAnotherFeed, readPage, trailingWindow } from './read-feed.ts';
import type { RetryLater } from './retry-later.ts';

/** Raised when another router leads the source now. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

export interface FollowSetting {
  readonly source: string;
  readonly config: SourceConfig;
  readonly orthanc: OrthancClient;
  readonly store: FeedStore;
  readonly lease: Lease;
  readonly later: RetryLater;
  /** Routes a study; resolves when the enqueue is durable. */
  route(orthancStudyId: string, epoch: number): Promise<unknown>;
  /** Tells how far the feed has been followed. */
  told(state: FeedState, newestSeq: number): void;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** Studies of one page that are routed at the same time. */
const lanes = 4;

/**
 * Follows the change feed of one source as its leader, for as long as it leads. The cursor is moved only after all
 * studies of a page are durably enqueued, and only while the lease is held.
 *
 * @throws LeaseLost, or DispatchError when the source or Redis cannot be asked
 */
export async function followFeed(setting: FollowSetting): Promise<never> {
  const { store, orthanc, signal, config } = setting;
  let state = (await store.read()) ?? (await firstState(setting));
  /** Numbers of the trailing window that were dealt with by this leader. */
  const seen = new Set<number>();
  for (;;) {
    signal.throwIfAborted();
    state = await checkFeed(setting, state, seen);
    let since = Math.max(0, state.seq - trailingWindow);
    for (let isLast = false; !isLast;) {
      const page = await ask(setting, () => readPage(orthanc, since, signal));
      await routeStudies(
        setting,
        state,
        page.changes.filter((change) => !seen.has(change.Seq)),
      );
      for (const change of page.changes) seen.add(change.Seq);
      state = await moveTo(setting, advanced(state, page.changes), state);
      // A page that leads nowhere would be asked for again and again.
      isLast = page.isLast || page.next <= since;
      since = page.next;
    }
    forgetBefore(seen, state.seq - trailingWindow);
    setting.told(state, Math.max(state.seq, since));
    await setting.later.run((orthancStudyId) => setting.route(orthancStudyId, state.epoch));
    await sleep(config.pollInterval, undefined, { signal });
  }
}

/** Where to begin with a source that is seen for the first time. */
async function firstState(setting: FollowSetting): Promise<FeedState> {
  const { config, orthanc, log, source } = setting;
  const { startFrom } = config;
  const newest = await ask(setting, () => orthanc.lastChange({ signal: setting.signal }));
  const isNow = startFrom === 'now';
  const state: FeedState = {
    epoch: 1,
    seq: isNow ? (newest?.Seq ?? 0) : 0,
    fingerprint: isNow && newest ? { seq: newest.Seq, id: newest.ID, date: newest.Date } : undefined,
    since: isNow ? timestamp(new Date()) : startFrom === 'everything' ? '' : `${startFrom.replaceAll('-', '')}T000000`,
  };
  await write(setting, state);
  log.info({ source, startFrom, seq: state.seq }, 'source is followed for the first time');
  return state;
}

/** Starts a new epoch at the beginning of the feed when it is not the feed that was followed. */
async function checkFeed(setting: FollowSetting, state: FeedState, seen: Set<number>): Promise<FeedState> {
  const { orthanc, signal, log, source } = setting;
  const remembered = state.fingerprint;
  if (!remembered) return state;
  const [page, newest] = await ask(setting, () =>
    Promise.all([orthanc.changes({ since: remembered.seq - 1, limit: 1 }, { signal }), orthanc.lastChange({ signal })]),
  );
  const same = page.Changes.find((change) => change.Seq === remembered.seq);
  if (!isAnotherFeed(remembered, same, newest)) return state;
  const next: FeedState = { ...state, epoch: state.epoch + 1, seq: 0, fingerprint: undefined };
  seen.clear();
  await write(setting, next);
  log.warn(
    { source, epoch: next.epoch, followedTo: remembered.seq, newest: newest?.Seq },
    'the database of the source was wiped or restored: its feed is followed from the beginning',
  );
  return next;
}

async function routeStudies(setting: FollowSetting, state: FeedState, changes: readonly Change[]): Promise<void> {
  const studies = new Set<string>();
  for (const change of changes) {
    if (change.ChangeType === 'StableStudy' && change.Date >= state.since) studies.add(change.ID);
  }
  const queue = [...studies];
  await Promise.all(
    Array.from({ length: Math.min(lanes, queue.length) }, async () => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) await routeOrDefer(setting, id, state.epoch);
    }),
  );
}

/** One study that cannot be read must not hold up the feed: it is noted down durably and tried again. */
async function routeOrDefer(setting: FollowSetting, orthancStudyId: string, epoch: number): Promise<void> {
  setting.signal.throwIfAborted();
  if (!setting.lease.isHeld) throw new LeaseLost('another router leads the source');
  try {
    await setting.route(orthancStudyId, epoch);
  } catch (error) {
    if (!(error instanceof DispatchError) || error.code !== 'source-error') throw error;
    await setting.later.add(orthancStudyId);
    setting.log.error(
      { source: setting.source, orthancStudy: orthancStudyId, reason: error.message },
      'a study cannot be read from the source; it is tried again later',
    );
  }
}

async function moveTo(setting: FollowSetting, next: FeedState, now: FeedState): Promise<FeedState> {
  if (next !== now) await write(setting, next);
  return next;
}

async function write(setting: FollowSetting, state: FeedState): Promise<void> {
  if (!(await setting.store.write(state, setting.lease.token))) throw new LeaseLost('another router leads the source');
}

async function ask<T>(setting: FollowSetting, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw sourceError(error, setting.source);
  }
}

function forgetBefore(seen: Set<number>, seq: number): void {
  for (const one of seen) if (one <= seq) seen.delete(one);
}

/** Orthanc's form of a time: `YYYYMMDDTHHMMSS`, UTC. */
export function timestamp(date: Date): string {
  return date.toISOString().replaceAll(/[-:]|\.\d+Z$/g, '');
}
