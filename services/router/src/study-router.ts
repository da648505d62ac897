import { DispatchError, settleOnce } from '@dicom-dispatch/core';
import type { FeedState } from '@dicom-dispatch/state/feed';
import { seenChanges } from '@dicom-dispatch/state/feed';
import { RedisLost, type Logger } from '@dicom-dispatch/runtime';
import { judgeDatabase, otherDatabase, sourceError, type OrthancClient } from '@dicom-dispatch/sources';
import { isDamaged } from '@dicom-dispatch/state/records';
import { LeaseLost } from './lease-lost.ts';
import type { PutOff } from './put-off.ts';
import { ReadTogether, type ReadTogetherOptions, type RecentSnapshot } from './read-together.ts';
import type { RoutingOutcome } from './route-one-study.ts';

/** How long the feed waits for one study. */
const defaultSoonMs = 5_000;
/** When it is tried again if the router ends before a slow study is read. */
const slowAgainMs = 60_000;
/** Maximum time for a source to respond to a health check. */
const probeMs = 5_000;
/**
 * A study after which the source stops responding this number of consecutive times, although it responds before, may be the
 * cause.
 */
const maxFalls = 3;
const keptFalls = 1_000;
/** How long a study must be missing: if the database is certainly the same, and if this is unknown. */
export const missingMs = { same: 3_000, unknown: 15_000 } as const;

export interface StudyRouterDependencies {
  readonly source: string;
  readonly orthanc: OrthancClient;
  readonly putOff: PutOff;
  /** Redis TIME. */
  now(): number;
  /** Position in the feed of the source, as far as it is known. */
  feed(): FeedState | undefined;
  /** @throws DispatchError */
  route(orthancStudyId: string, epoch: number, recent: RecentSnapshot | undefined): Promise<RoutingOutcome>;
  /** Called with each study that was routed, or deleted. */
  routed(outcome: RoutingOutcome): void;
  /** Removes stored data of a deleted study. */
  forget(orthancStudyId: string): Promise<void>;
  /** How long `routeSoon` waits for one study. Default 5 s. */
  readonly soonMs?: number;
  readonly together?: ReadTogetherOptions;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** `put-off`: the study cannot be routed now for a reason specific to it, and is tried again later. */
export type SafeOutcome = RoutingOutcome | 'put-off';

/**
 * Routes studies of one source so that a problem of one study stops nothing else: it is postponed alone. Only problems of the
 * source as a whole, or of Redis, are thrown.
 */
export class StudyRouter {
  readonly #dependencies: StudyRouterDependencies;
  /** Consecutive number of times that the source stopped responding after a study was read. */
  readonly #falls = new Map<string, number>();
  readonly #together: ReadTogether;

  constructor(dependencies: StudyRouterDependencies) {
    this.#dependencies = dependencies;
    this.#together = new ReadTogether({ ...dependencies, ...dependencies.together });
  }

  /** Reads studies together, for `routeSoon`; see `ReadTogether`. */
  readTogether(orthancStudyIds: readonly string[]): Promise<ReadonlyMap<string, RecentSnapshot>> {
    return this.#together.read(orthancStudyIds);
  }

  /**
   * @param recent - the study as it was read a moment ago, to save reading it
   * @throws DispatchError, or errors of Redis, if no study can be routed now
   */
  async route(orthancStudyId: string, epoch: number, recent?: RecentSnapshot): Promise<SafeOutcome> {
    const { putOff, now, signal } = this.#dependencies;
    signal.throwIfAborted();
    const before = await putOff.read(orthancStudyId);
    if (before && before.dueAt > now()) return 'put-off';
    let outcome: SafeOutcome;
    try {
      outcome = await this.#dependencies.route(orthancStudyId, epoch, this.#together.newest(orthancStudyId, recent));
    } catch (error) {
      outcome = await this.#failed(orthancStudyId, error, before?.claimedAt);
    }
    if (outcome === 'put-off') return outcome;
    this.#falls.delete(orthancStudyId);
    this.#together.routed(orthancStudyId);
    if (outcome === 'gone') await this.#dependencies.forget(orthancStudyId);
    if (before) await putOff.remove(orthancStudyId);
    this.#dependencies.routed(outcome);
    return outcome;
  }

  /**
   * Like `route`, for callers with other studies to route: a study that an available source returns slowly is recorded, and
   * read in parallel.
   *
   * @throws as `route`
   */
  async routeSoon(orthancStudyId: string, epoch: number, recent?: RecentSnapshot): Promise<SafeOutcome> {
    const { source, orthanc, putOff, soonMs = defaultSoonMs, log, signal } = this.#dependencies;
    const running = this.route(orthancStudyId, epoch, recent);
    const outcome = await settleOnce(running, { signal, timeoutMs: soonMs, onTimeout: () => 'late' as const });
    if (outcome !== 'late') return outcome;
    // Delays caused by the source or Redis are waited for.
    const isWell = await orthanc.system({ timeoutMs: probeMs, signal }).then(
      () => true,
      () => false,
    );
    const message = `source ${source}: has not returned the study within ${soonMs / 1_000} s; it is read in parallel to others`;
    const failure = { code: 'source-error', message, waitMs: slowAgainMs, isSlow: true };
    if (!isWell || (await putOff.add(orthancStudyId, failure)) === undefined) return running;
    running
      .then(async (late) => late === 'put-off' || (await putOff.remove(orthancStudyId)))
      .catch((error: unknown) =>
        log.debug({ source, orthancStudy: orthancStudyId, err: error }, 'a slow study is retried'),
      );
    return 'put-off';
  }

  async #failed(orthancStudyId: string, thrown: unknown, claimedAt: number | undefined): Promise<'put-off' | 'gone'> {
    const { source, orthanc, signal, now } = this.#dependencies;
    if (signal.aborted || thrown instanceof LeaseLost || thrown instanceof RedisLost || isOfRedis(thrown)) throw thrown;
    try {
      await orthanc.system({ timeoutMs: probeMs, signal });
    } catch (error) {
      signal.throwIfAborted();
      // The source as a whole does not respond correctly: its own response shows why. A study that crashes it must not do so
      // forever.
      if (!this.#fallsAgain(orthancStudyId)) throw sourceError(error, source);
      await this.putOff(orthancStudyId, thrown);
      return 'put-off';
    }
    if (!(thrown instanceof DispatchError) || thrown.code !== 'source-gone') {
      await this.putOff(orthancStudyId, thrown);
      return 'put-off';
    }
    const verdict = await judgeDatabase(orthanc, seenIn(this.#dependencies.feed()), { signal }).catch(
      (error: unknown) => {
        throw sourceError(error, source);
      },
    );
    if (verdict === 'another') {
      await this.putOff(orthancStudyId, otherDatabase(source));
      return 'put-off';
    }
    const since = claimedAt ?? now();
    const leftMs = since + missingMs[verdict] - now();
    if (claimedAt !== undefined && leftMs <= 0) {
      this.#dependencies.log.info(
        { source, orthancStudy: orthancStudyId },
        'a study was deleted before it could be routed',
      );
      return 'gone';
    }
    await this.putOff(orthancStudyId, thrown, { claimedAt: since, waitMs: Math.max(leftMs, 1_000) });
    return 'put-off';
  }

  #fallsAgain(orthancStudyId: string): boolean {
    const count = (this.#falls.get(orthancStudyId) ?? 0) + 1;
    if (this.#falls.size >= keptFalls) this.#falls.clear();
    this.#falls.set(orthancStudyId, count);
    return count >= maxFalls;
  }

  /**
   * Puts a study off that cannot be routed, or not even be read. A damaged record is logged once, with its remedy: nothing
   * changes until an operator removes it.
   */
  async putOff(
    orthancStudyId: string,
    thrown: unknown,
    more: { readonly claimedAt?: number; readonly waitMs?: number } = {},
  ): Promise<void> {
    const { source, log, putOff, now } = this.#dependencies;
    const error = sourceError(thrown, source);
    const isKnown = error instanceof DispatchError;
    const failure = isKnown
      ? { code: error.code, message: error.message, retryAfterMs: error.retryAfterMs }
      : // The text of an unknown error may contain patient data.
        { code: 'internal', message: `unexpected ${thrown instanceof Error ? thrown.name : typeof thrown}` };
    const isReported = isDamaged(error) && (await putOff.read(orthancStudyId))?.code === error.code;
    const dueAt = await putOff.add(orthancStudyId, { ...failure, ...more });
    const facts = { source, orthancStudy: orthancStudyId, code: failure.code, reason: failure.message };
    if (more.claimedAt !== undefined)
      log.debug(facts, 'the source reports that it does not have a study: queried again');
    else if (isReported) log.debug(facts, 'the record of a postponed study is still damaged');
    else if (isDamaged(error))
      log.error({ ...facts, remedy: error.remedy }, 'a study has a damaged record in Redis: it alone is postponed');
    else if (dueAt === undefined)
      log.error(facts, 'too many studies are postponed: this one is left to the next sweep');
    else
      log[isKnown ? 'warn' : 'error'](
        { ...facts, inMs: dueAt - now(), ...(!isKnown && { err: thrown }) },
        'a study cannot be routed and is postponed',
      );
  }
}

function seenIn(feed: FeedState | undefined): ReturnType<typeof seenChanges> {
  return feed ? seenChanges(feed) : [];
}

const refusals =
  /\b(OOM|READONLY|MISCONF|NOPERM|NOAUTH|WRONGPASS|NOREPLICAS|LOADING|BUSY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK|EXECABORT)\b/;

/** Whether Redis does not respond, or rejects writes: no study is the cause. An error about one key belongs to its study. */
export function isOfRedis(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof DispatchError && error.code !== 'ledger-unavailable') return false;
  if (error.name === 'ReplyError') return refusals.test(error.message);
  if (['MaxRetriesPerRequestError', 'ClusterAllFailedError', 'AbortError'].includes(error.name)) return true;
  if (error.message === 'Connection is closed.') return true;
  return error.cause === undefined ? error instanceof DispatchError : isOfRedis(error.cause);
}
