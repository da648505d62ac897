import { redisKeys } from '@dicom-dispatch/state/keys';
import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError, type Config, type SourceConfig } from '@dicom-dispatch/core';
import type { Records } from '@dicom-dispatch/state/records';
import { operationKeys, type StudyEnqueuer } from '@dicom-dispatch/pipeline';
import type { Logger, Redis } from '@dicom-dispatch/runtime';
import { openSource, sourceError, type OrthancClient } from '@dicom-dispatch/sources';
import { FeedStore, type FeedState } from './feed-state.ts';
import { followFeed, LeaseLost } from './follow-feed.ts';
import { forgetAgainAndAgain } from './forget-again-and-again.ts';
import { Lease } from './lease.ts';
import { RetryLater } from './retry-later.ts';
import { routeOneStudy, type RoutingContext, type RoutingOutcome } from './route-one-study.ts';
import { sweepSource } from './sweep.ts';
import type { WaitingStudies } from './waiting-studies.ts';

/** How long a leader that says nothing keeps the lead: a standby takes over within this. */
const leaseMs = 5_000;
const renewMs = 1_500;
const retryMs = 1_000;
/** How often studies that were not whole are looked at; what Redis has to do for it is next to nothing. */
const waitingMs = 500;

export interface LeadSetting {
  readonly name: string;
  readonly config: SourceConfig;
  /** The rules as they are now. */
  rules(): Pick<RoutingContext, 'config' | 'rules' | 'cache'>;
  readonly waiting: WaitingStudies;
  readonly redis: Redis;
  readonly prefix: string;
  readonly records: Records;
  readonly enqueuer: StudyEnqueuer;
  readonly log: Logger;
  routed(outcome: RoutingOutcome): void;
  forgotten(studies: number): void;
}

/** What is known of a source from here. */
export interface SourceStatus {
  readonly name: string;
  isLeader: boolean;
  reachable: boolean;
  detail: string;
  state: FeedState | undefined;
  /** Changes between the cursor and the newest. */
  lag: number;
}

export interface SourceLead {
  readonly status: SourceStatus;
  stop(): Promise<void>;
}

/**
 * Tries to become the leader of one source, and follows and sweeps it while it is. Whatever happens to Orthanc or Redis,
 * it says so once and goes on when they are back.
 */
export function leadSource(setting: LeadSetting): SourceLead {
  const { name, config, redis, prefix, log } = setting;
  const stopping = new AbortController();
  const lease = new Lease(redis, redisKeys(prefix).lease(name), leaseMs);
  const store = new FeedStore(redis, prefix, name, lease.key);
  const later = new RetryLater(redis, prefix, name);
  const status: SourceStatus = {
    name,
    isLeader: false,
    reachable: false,
    detail: 'not asked yet',
    state: undefined,
    lag: 0,
  };
  let orthanc: OrthancClient | undefined;
  const done = run();

  return {
    status,
    async stop() {
      stopping.abort(new Error('the router is stopping'));
      await done;
      await orthanc?.close();
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        status.isLeader = await lease.acquire();
        if (status.isLeader) await lead();
      } catch (error) {
        if (stopping.signal.aborted) break;
        say(error);
      }
      await sleep(status.isLeader ? retryMs : renewMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
    if (redis.status === 'ready') await lease.release().catch(() => {});
    status.isLeader = false;
  }

  /** Leads until the lease is lost, the source or Redis cannot be asked, or the router stops. */
  async function lead(): Promise<void> {
    orthanc ??= await openSource(config);
    const client = orthanc;
    const leading = new AbortController();
    const signal = AbortSignal.any([leading.signal, stopping.signal]);
    const route = async (orthancStudyId: string, epoch: number): Promise<void> => {
      const { enqueuer, waiting, routed } = setting;
      const context = { source: name, orthanc: client, ...setting.rules(), enqueuer, waiting, log };
      routed(await routeOneStudy(context, orthancStudyId, epoch));
    };
    const parts = [
      renewLease(leading),
      followFeed({
        source: name,
        config,
        orthanc: client,
        store,
        lease,
        later,
        route,
        told(state, newestSeq) {
          if (!status.reachable)
            log.info({ source: name, seq: state.seq, epoch: state.epoch }, 'following the change feed');
          Object.assign(status, {
            state,
            lag: newestSeq - state.seq,
            reachable: true,
            detail: `followed to ${state.seq}`,
          });
        },
        log,
        signal,
      }),
      sweepAgainAndAgain(client, route, signal),
      routeWaiting(route, signal),
      forget(client, signal),
    ];
    try {
      await Promise.race(parts);
    } finally {
      leading.abort(new LeaseLost('this router leads the source no longer'));
      await Promise.allSettled(parts);
    }
  }

  async function routeWaiting(
    route: (id: string, epoch: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<never> {
    for (;;) {
      await sleep(waitingMs, undefined, { signal });
      const epoch = status.state?.epoch;
      if (epoch !== undefined) await setting.waiting.run((orthancStudyId) => route(orthancStudyId, epoch));
    }
  }

  async function forget(client: OrthancClient, signal: AbortSignal): Promise<never> {
    const config = (): Config => setting.rules().config;
    return forgetAgainAndAgain({
      source: name,
      orthanc: client,
      operations: { config, redis, records: setting.records, keys: operationKeys(prefix) },
      fence: { lockKey: lease.key, token: lease.token },
      forgotten: (studies) => setting.forgotten(studies),
      log,
      signal,
    });
  }

  async function renewLease(leading: AbortController): Promise<never> {
    for (;;) {
      await sleep(renewMs, undefined, { signal: AbortSignal.any([leading.signal, stopping.signal]) });
      if (!(await lease.acquire())) throw new LeaseLost('another router leads the source now');
    }
  }

  async function sweepAgainAndAgain(
    client: OrthancClient,
    route: (id: string, epoch: number) => Promise<void>,
    signal: AbortSignal,
  ): Promise<never> {
    for (;;) {
      // The follower decides first where the feed begins.
      while (!status.state) await sleep(100, undefined, { signal });
      await sweepSource({
        source: name,
        config,
        orthanc: client,
        records: setting.records,
        store,
        redis,
        prefix,
        route,
        log,
        signal,
      });
      const { every } = config.sweep;
      await sleep(every > 0 ? every : 2 ** 31 - 1, undefined, { signal });
    }
  }

  /** One line when it goes wrong, and none while it stays so. */
  function say(thrown: unknown): void {
    const error = sourceError(thrown, name);
    const detail = error instanceof Error ? error.message : String(error);
    if (error instanceof LeaseLost) {
      status.isLeader = false;
      log.info({ source: name }, 'the lead was lost to another router');
      return;
    }
    const isNew = status.reachable || status.detail !== detail;
    Object.assign(status, { reachable: false, detail });
    if (!isNew) return;
    if (error instanceof DispatchError) {
      log.error(
        { source: name, code: error.code, reason: detail, remedy: error.remedy },
        'the source cannot be followed; trying again until it can',
      );
    } else {
      log.error({ source: name, err: thrown }, 'following the source failed; trying again');
    }
  }
}
