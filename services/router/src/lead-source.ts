import { setTimeout as sleep } from 'node:timers/promises';
import { openSource, type OrthancClient } from '@dicom-dispatch/sources';
import { readFeedState, writeSourceStatus, type FeedState } from '@dicom-dispatch/state/feed';
import { RedisLost } from '@dicom-dispatch/runtime';
import { Lease } from './lease.ts';
import { LeaseLost } from './lease-lost.ts';
import { SharedDatabase } from './shared-database.ts';
import type { SourceKit } from './source-kit.ts';
import { SameDatabase, SourceParts } from './source-parts.ts';
import { workOnSource } from './source-work.ts';

/** Duration of the lease: a standby takes over within this time if a leader does not renew it. */
const leaseMs = 5_000;
const renewMs = 1_500;
const retryMs = 1_000;
const statusMs = 2_000;
/** Interval for checking a source that uses the same database as another one. */
const lookAgainMs = 30_000;

/** Status of a source in this router. */
export interface SourceState {
  readonly name: string;
  isLeader: boolean;
  state: FeedState | undefined;
  /** Changes between the cursor and the newest. */
  lag: number;
  /** When the cursor last moved, or was at the end of the feed, by Redis TIME. */
  movedAt: number | undefined;
  /** The source whose database it uses; it is not followed then. */
  sameAs: string | undefined;
}

export interface SourceLead {
  readonly status: SourceState;
  readonly parts: SourceParts;
  /** The problem, as text; undefined if there is none. */
  trouble(): string | undefined;
  stop(): Promise<void>;
}

/**
 * Tries to become the leader of one source, and processes it while it leads. Failures of Orthanc or Redis are reported once,
 * and it continues when they are available again.
 */
export function leadSource(kit: SourceKit): SourceLead {
  const { name, config, redis, prefix, watch, time, log } = kit;
  const stopping = new AbortController();
  const lease = new Lease({ redis, prefix, source: name, durationMs: leaseMs, generation: () => watch.known?.id });
  const parts = new SourceParts(name, log, watch.clock.now);
  const shared = new SharedDatabase({
    source: name,
    sources: () => kit.sources(),
    feed: (source) => readFeedState(redis, prefix, source),
  });
  const status: SourceState = {
    name,
    isLeader: false,
    state: undefined,
    lag: 0,
    movedAt: undefined,
    sameAs: undefined,
  };
  let orthanc: OrthancClient | undefined;
  let reported = '';
  const done = run();

  return {
    status,
    parts,
    trouble() {
      if (status.sameAs !== undefined) return `uses the same database as the source ${status.sameAs}: not followed`;
      const { feed, sweep, waiting, 'put-off': putOff } = parts.failing;
      return (feed ?? sweep ?? waiting ?? putOff)?.message;
    },
    async stop() {
      stopping.abort(new Error('the router is stopping'));
      await done;
      await Promise.allSettled([orthanc?.close(), shared.close()]);
    },
  };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      try {
        await watch.untilGood(stopping.signal);
        status.isLeader = await lease.acquire();
        if (status.isLeader) await lead();
      } catch (error) {
        if (stopping.signal.aborted) break;
        ended(error);
      }
      await sleep(status.isLeader ? retryMs : renewMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
    if (redis.status === 'ready') await lease.release().catch(() => {});
    status.isLeader = false;
  }

  /** Leads until the lease is lost, Redis loses its data, or the router stops. */
  async function lead(): Promise<void> {
    orthanc ??= await openSource(config);
    const client = orthanc;
    const leading = new AbortController();
    const signal = AbortSignal.any([leading.signal, stopping.signal]);
    const stopListening = watch.listen({ lost: () => leading.abort(new RedisLost('Redis has lost data')) });
    const running: Promise<never>[] = [renewLease(signal), reportStatus(signal)];
    try {
      await Promise.race([work(client, signal, running), ...running]);
    } finally {
      leading.abort(new LeaseLost('this router no longer leads the source'));
      stopListening();
      await Promise.allSettled(running);
      Object.assign(status, { state: undefined, lag: 0, movedAt: undefined });
      parts.clear();
    }
  }

  /** @param running - receives the work that must end before another router may lead */
  async function work(client: OrthancClient, signal: AbortSignal, running: Promise<never>[]): Promise<void> {
    // An unavailable source is reported by the parts below.
    const other = await shared.find(client, signal).catch(() => status.sameAs);
    signal.throwIfAborted();
    if (other !== undefined) return standAside(other, signal);
    status.sameAs = undefined;
    reported = '';
    const parting = new AbortController();
    const all = workOnSource({
      kit,
      orthanc: client,
      lease,
      parts,
      shared,
      feed: () => status.state,
      onProgress(state, newestSeq) {
        if (!status.state) log.info({ source: name, seq: state.seq, epoch: state.epoch }, 'following the change feed');
        const lag = newestSeq - state.seq;
        if (lag === 0 || state.seq !== status.state?.seq) status.movedAt = watch.clock.now();
        Object.assign(status, { state, lag });
      },
      signal: AbortSignal.any([signal, parting.signal]),
    });
    running.push(...all);
    try {
      await Promise.race(all);
    } catch (error) {
      if (!(error instanceof SameDatabase)) throw error;
      parting.abort(error);
      await Promise.allSettled(all);
      parts.clear();
      await standAside(error.other, signal);
    }
  }

  /** Keeps the lease, so that no other router checks the same condition, and does nothing for some time. */
  async function standAside(other: string, signal: AbortSignal): Promise<void> {
    status.sameAs = other;
    if (reported !== other) {
      log.error(
        { source: name, sameAs: other },
        'the source uses the same database as another source: it is not followed, because each study would be sent twice',
      );
    }
    reported = other;
    await sleep(lookAgainMs, undefined, { signal });
  }

  async function renewLease(signal: AbortSignal): Promise<never> {
    for (;;) {
      await sleep(renewMs, undefined, { signal });
      if (!(await lease.acquire())) throw new LeaseLost('another router leads the source now');
    }
  }

  async function reportStatus(signal: AbortSignal): Promise<never> {
    for (;;) {
      await writeSourceStatus(redis, prefix, name, {
        at: watch.clock.now(),
        failing: parts.failing,
        lag: status.lag,
        movedAt: status.movedAt,
        skewMs: time.skewMs,
        jump: time.jump,
        sameAs: status.sameAs,
      }).catch(() => {});
      await sleep(statusMs, undefined, { signal });
    }
  }

  function ended(error: unknown): void {
    if (error instanceof LeaseLost) {
      status.isLeader = false;
      log.info({ source: name }, 'another router has taken over the lead');
    } else if (error instanceof RedisLost) {
      status.isLeader = false;
      log.warn({ source: name }, 'the source is not followed until Redis is recovered');
    } else {
      const words = String(error);
      if (reported !== words) log.error({ source: name, err: error }, 'following the source failed; trying again');
      reported = words;
    }
  }
}
