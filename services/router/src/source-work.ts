import { createLedger } from '@dicom-dispatch/state/ledger';
import { SharedUids } from '@dicom-dispatch/state/shared-uids';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '@dicom-dispatch/core';
import { operationKeys, searchKeysOf } from '@dicom-dispatch/pipeline';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { CatchUp } from './catch-up.ts';
import { FeedStore } from './feed-store.ts';
import { followFeed } from './follow-feed.ts';
import { forgetAgainAndAgain } from './forget-again-and-again.ts';
import type { Lease } from './lease.ts';
import type { SharedDatabase } from './shared-database.ts';
import { routeBatches } from './route-batches.ts';
import { studyRouterOf, type SourceKit } from './source-kit.ts';
import { SameDatabase, type SourceParts } from './source-parts.ts';
import { SweepNotes } from './sweep-notes.ts';
import { sweepSource } from './sweep.ts';

/** Interval for checking incomplete and postponed studies; this is cheap for Redis. */
const lookMs = 500;
const takeBackMs = 20_000;
const putOffAtOnce = 10;
const putOffLanes = 4;
const never = 2 ** 31 - 1;

export interface SourceWorkDependencies {
  readonly kit: SourceKit;
  readonly orthanc: OrthancClient;
  readonly lease: Lease;
  readonly parts: SourceParts;
  readonly shared: SharedDatabase;
  /** Position in the feed; undefined before it was read. */
  feed(): FeedState | undefined;
  /** Called with the position in the feed. */
  onProgress(state: FeedState, newestSeq: number): void;
  readonly signal: AbortSignal;
}

/**
 * All work of the leader of a source, as independent parts.
 *
 * @returns promises that never resolve; they reject when the source is no longer led
 */
export function workOnSource(dependencies: SourceWorkDependencies): Promise<never>[] {
  const { kit, orthanc, lease, parts, shared, signal } = dependencies;
  const { name, config, redis, prefix, records, watch, putOff, takeBack, waiting, time, log } = kit;
  const store = new FeedStore(redis, prefix, name, lease.key);
  const sourceNow = (): Promise<number> => time.now(orthanc, signal);
  const studies = studyRouterOf(kit, { orthanc, feed: () => dependencies.feed(), signal });
  const catchUp = new CatchUp();
  const sweepNotes = new SweepNotes(redis, prefix, name);
  /** Aborted when the source has another database: the sweep runs again, also if one is running. */
  let sweepAgain = new AbortController();

  return [
    parts.keepGoing('feed', signal, () =>
      catchUp.follow(() =>
        followFeed({
          source: name,
          config,
          orthanc,
          store,
          lease,
          sourceNow,
          sourceUnseenMs: () => time.unseenMs,
          misdated: (instances) => kit.misdated.note(orthanc, instances, signal),
          beforeRouting: refuseSameDatabase,
          arrivals: {
            came: (came, at) => kit.arrivals.came(orthanc, at, came, signal),
            get isHolding() {
              return kit.arrivals.isHolding;
            },
            get isPushed() {
              return kit.arrivals.isPushed;
            },
          },
          readTogether: (ids) => studies.readTogether(ids),
          route: (id, epoch, recent) => studies.routeSoon(id, epoch, recent),
          onProgress(state, newestSeq, isEnd) {
            parts.well('feed');
            catchUp.advanced(state.seq, isEnd);
            dependencies.onProgress(state, newestSeq);
          },
          anotherDatabase() {
            catchUp.begin();
            sweepAgain.abort();
          },
          log,
          signal,
        }),
      ),
    ),
    parts.keepGoing('sweep', signal, sweepAgainAndAgain),
    parts.keepGoing('waiting', signal, routeWaiting),
    parts.keepGoing('put-off', signal, tryPutOff),
    parts.keepGoing('take-back', signal, lookForGone),
    parts.keepGoing('forgetting', signal, forget),
    parts.keepGoing('batches', signal, async () => {
      await epoch();
      await refuseSameDatabase();
      await routeBatches({
        source: name,
        pipeline: kit.pipeline,
        enqueuer: kit.enqueuer,
        orthanc,
        feed: () => dependencies.feed(),
        now: watch.clock.now,
        confirm: () => watch.confirm(),
        well: () => parts.well('batches'),
        log,
        signal,
      });
    }),
  ];

  async function refuseSameDatabase(): Promise<void> {
    const other = await shared.find(orthanc, signal);
    if (other !== undefined) throw new SameDatabase(other);
  }

  async function followed(): Promise<FeedState> {
    // The follower first determines where the feed begins.
    for (let state = dependencies.feed(); ; state = dependencies.feed()) {
      if (state) return state;
      await sleep(100, undefined, { signal });
    }
  }

  async function epoch(): Promise<number> {
    return (await followed()).epoch;
  }

  async function sweepAgainAndAgain(): Promise<never> {
    for (;;) {
      await followed();
      if (!(await sweepNotes.isUrgent()))
        await catchUp.over({ onWait: () => sweepNotes.waits(watch.clock.now()), signal });
      if (sweepAgain.signal.aborted) {
        await sweepNotes.beginAgain();
        sweepAgain = new AbortController();
      }
      const feed = await followed();
      await refuseSameDatabase();
      await takeBack.refresh();
      await sweepSource({
        source: name,
        config,
        orthanc,
        records,
        feed,
        epochNow: () => dependencies.feed()?.epoch,
        redis,
        prefix,
        searchKey: searchKeysOf(kit.rules().config)[0],
        now: watch.clock.now,
        sourceNow,
        confirm: () => watch.confirm(),
        beforeRouting: refuseSameDatabase,
        route: (id, at) => studies.route(id, at),
        misdated: kit.misdated,
        settled: (ids) => kit.settled.read(ids),
        waiting: (ids) => waiting.among(ids),
        leave: (old) => kit.settled.leave(old),
        putOff: (id, error) => studies.putOff(id, error),
        notDue: (ids) => putOff.notDue(ids),
        takeBack: (ids) => takeBack.seen(ids),
        log,
        signal,
      });
      await sweepNotes.ended();
      parts.well('sweep');
      const { every } = config.sweep;
      await sleep(every > 0 ? every : never, undefined, { signal: AbortSignal.any([sweepAgain.signal, signal]) }).catch(
        () => {},
      );
      signal.throwIfAborted();
    }
  }

  async function routeWaiting(): Promise<never> {
    for (;;) {
      await sleep(lookMs, undefined, { signal });
      const at = await epoch();
      await waiting.run((orthancStudyId) => studies.route(orthancStudyId, at));
      parts.well('waiting');
    }
  }

  async function tryPutOff(): Promise<never> {
    for (;;) {
      await sleep(lookMs, undefined, { signal });
      const at = await epoch();
      const due = (await putOff.due(putOffAtOnce)).values();
      // A study that the source never returns blocks the others until the timeout of the source.
      await Promise.all(
        Array.from({ length: putOffLanes }, async () => {
          for (const id of due) await studies.route(id, at);
        }),
      );
      parts.well('put-off');
    }
  }

  async function lookForGone(): Promise<never> {
    for (;;) {
      await sleep(takeBackMs, undefined, { signal });
      await epoch();
      await takeBack.look(orthanc, signal);
      parts.well('take-back');
    }
  }

  async function forget(): Promise<never> {
    return forgetAgainAndAgain({
      source: name,
      orthanc,
      operations: {
        config: (): Config => kit.rules().config,
        redis,
        records,
        ledger: createLedger(redis, { prefix }),
        sharedUids: new SharedUids(redis, prefix),
        keys: operationKeys(prefix),
      },
      fence: { lockKey: lease.key, token: lease.token },
      now: watch.clock.now,
      forgotten: (count) => kit.forgotten(count),
      log,
      signal,
    });
  }
}
