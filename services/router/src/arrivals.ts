import { setTimeout as sleep } from 'node:timers/promises';
import { contentHash, routeStudy, type CompiledRule, type Config, type ManifestInstance } from '@dicom-dispatch/core';
import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import type { ArrivedInstance, SeriesPlace } from '@dicom-dispatch/orthanc';
import {
  enqueueArriving,
  publishArrival,
  readForRouting,
  wakeDelivery,
  wasPulled,
  type ArrivalMessage,
  type HandOverContext,
} from '@dicom-dispatch/pipeline';
import { readFeedState } from '@dicom-dispatch/state/feed';
import { PulledStudies } from '@dicom-dispatch/state/priors';
import type { ArrivalState } from '@dicom-dispatch/state/records';
import type { Logger } from '@dicom-dispatch/runtime';
import { toManifestInstance, withFileHeads, type OrthancClient } from '@dicom-dispatch/sources';
import { HeldArrivals, type Came } from './held-arrivals.ts';

export interface ArrivalsDependencies {
  readonly source: string;
  rules(): { readonly config: Config; readonly rules: readonly CompiledRule[]; readonly cache: IntermediateCache };
  handOver(): HandOverContext;
  /** Ensures that Redis still has its data. */
  confirm(): Promise<void>;
  readonly log: Logger;
}

interface KnownStudy {
  readonly rules: readonly CompiledRule[];
  readonly studyInstanceUid: string;
  readonly series: ReadonlySet<string>;
  readonly deliveries: readonly string[];
  /** When the deliveries send, as last read. */
  starts: ReadonlySet<string | undefined>;
}

/** Instances of one study that have arrived. */
interface Arrived {
  readonly orthancStudyId: string;
  readonly from: ArrivalMessage['from'];
  readonly come: readonly ArrivedInstance[];
}

const maxStudies = 1_000;
const maxSeries = 10_000;
const maxSeen = 20_000;
const maxWaiting = 20_000;
/** Number of instances that are looked up in one request. */
const atOnce = 500;
/** How long after an announcement the plugin counts as announcing everything that its source receives. */
const pushedMs = 4_500;
/** Number of tries if a source does not respond. */
const maxTries = 5;
const retryMs = 1_000;

/**
 * Begins deliveries of studies that are still being received, and notifies dispatchers of arrived instances. Nothing depends
 * on it: missed instances are sent when the study is stable, at the latest.
 */
export class Arrivals {
  readonly #dependencies: ArrivalsDependencies;
  readonly #series = new Map<string, SeriesPlace>();
  readonly #studies = new Map<string, KnownStudy>();
  /** Recent reports: a push and the feed report the same. */
  readonly #seen = new Set<string>();
  readonly #held = new HeldArrivals();
  readonly #waiting = { instances: new Set<string>(), series: new Set<string>() };
  #isRunning = false;
  #pushedAt = Number.NEGATIVE_INFINITY;

  constructor(dependencies: ArrivalsDependencies) {
    this.#dependencies = dependencies;
  }

  /** Whether any rule for this source begins before a study is stable. */
  get isWanted(): boolean {
    const { source, rules } = this.#dependencies;
    return rules().rules.some(
      ({ start, config }) => start !== 'stable' && (config.sources === undefined || config.sources.includes(source)),
    );
  }

  /** Whether the plugin announces instances at this moment, so that the feed is not urgent. */
  get isPushed(): boolean {
    return performance.now() - this.#pushedAt < pushedMs;
  }

  /** Whether instances that the feed has reported wait to be announced together: then the feed is read again soon. */
  get isHolding(): boolean {
    return !this.#held.isEmpty;
  }

  /** Arrivals that the plugin has announced, after waiting for more of them: they are processed at once, in the background. */
  pushed(orthanc: OrthancClient, epoch: number, came: Came, signal: AbortSignal): void {
    // The feed slows down only for a plugin whose reports are used.
    if (!this.isWanted) return;
    this.#pushedAt = performance.now();
    this.#held.add(came, (id) => this.#seen.has(id));
    this.#release(orthanc, epoch, signal);
  }

  /**
   * Arrivals of one read of the feed, which may be none. They wait for further ones, as long as each read reports some, or until
   * the plugin announces the next ones.
   */
  came(orthanc: OrthancClient, epoch: number, came: Came, signal: AbortSignal): void {
    if (!this.isWanted) {
      // Those that wait are of rules that a reload has removed.
      this.#held.take();
      return;
    }
    this.#held.add(came, (id) => this.#seen.has(id));
    if (this.isHolding && this.#held.isDue(this.isPushed)) this.#release(orthanc, epoch, signal);
  }

  #release(orthanc: OrthancClient, epoch: number, signal: AbortSignal): void {
    const { instances, series } = this.#held.take();
    this.#note(this.#waiting.instances, instances);
    this.#note(this.#waiting.series, series);
    if (this.#isRunning) return;
    this.#isRunning = true;
    void this.#run(orthanc, epoch, signal).finally(() => (this.#isRunning = false));
  }

  #note(waiting: Set<string>, ids: readonly string[]): void {
    for (const id of ids) if (waiting.size < maxWaiting) waiting.add(id);
  }

  /** Requests are sequential: arrivals in between are combined. */
  async #run(orthanc: OrthancClient, epoch: number, signal: AbortSignal): Promise<void> {
    const { source, log } = this.#dependencies;
    for (let tries = 0; !signal.aborted;) {
      const from = this.#waiting.series.size > 0 ? 'series' : 'arrival';
      const waiting = from === 'series' ? this.#waiting.series : this.#waiting.instances;
      const ids = [...waiting].slice(0, atOnce);
      if (ids.length === 0) return;
      for (const id of ids) waiting.delete(id);
      try {
        const level = from === 'series' ? 'series' : 'instances';
        const come = await orthanc.arrivedInstances(level, ids, this.#series, { signal });
        const byStudy = Map.groupBy(come, ({ studyId }) => studyId);
        for (const [study, some] of byStudy) await this.#publish(orthanc, epoch, study, from, some, signal);
        for (const id of ids) this.#seen.add(id);
        tries = 0;
      } catch (error) {
        tries += 1;
        if (tries < maxTries) {
          for (const id of ids) waiting.add(id);
          await sleep(retryMs, undefined, { signal }).catch(() => {});
          continue;
        }
        // They are sent by the next attempt, at the latest when the study is stable.
        if (!signal.aborted) log.warn({ source, err: error }, 'arriving instances could not be announced');
        tries = 0;
      }
      for (const kept of [this.#seen, this.#series, this.#studies] as const) {
        const max = kept === this.#seen ? maxSeen : kept === this.#series ? maxSeries : maxStudies;
        for (const oldest of kept.keys()) {
          if (kept.size <= max) break;
          kept.delete(oldest);
        }
      }
    }
  }

  async #publish(
    orthanc: OrthancClient,
    epoch: number,
    orthancStudyId: string,
    from: ArrivalMessage['from'],
    come: readonly ArrivedInstance[],
    signal: AbortSignal,
  ): Promise<void> {
    const context = this.#dependencies.handOver();
    const arrived = { orthancStudyId, from, come };
    let known = this.#studies.get(orthancStudyId);
    const isNews =
      known?.rules !== this.#dependencies.rules().rules || come.some(({ seriesId }) => !known?.series.has(seriesId));
    if (!known || isNews) known = await this.#begin(orthanc, epoch, orthancStudyId, signal);
    let open = known && (await this.#announce(orthanc, known, arrived, signal));
    if (open?.some((one) => one?.arriving === undefined)) {
      // The study was complete, and more has arrived.
      known = await this.#begin(orthanc, epoch, orthancStudyId, signal);
      open = known && (await this.#announce(orthanc, known, arrived, signal));
    }
    for (const one of open ?? []) {
      // A delivery that waits for another reason reads the arrived instances when it continues.
      if (one?.arriving === from && one.state === 'waiting' && one.wake === 'arrival') {
        await wakeDelivery(context, one.deliveryId);
      }
    }
  }

  /**
   * Notifies running attempts and reads the deliveries, in one write to Redis. In this order: an attempt that ends before
   * the message is read as waiting.
   */
  async #announce(
    orthanc: OrthancClient,
    known: KnownStudy,
    arrived: Arrived,
    signal: AbortSignal,
  ): Promise<(ArrivalState | undefined)[]> {
    const { source } = this.#dependencies;
    const { records, redis, config } = this.#dependencies.handOver();
    const { orthancStudyId, from, come } = arrived;
    const isWanted = known.starts.has(from);
    const read = isWanted ? await withFileHeads(orthanc, come, signal) : [];
    const instances = read.map((one): ManifestInstance => toManifestInstance(one, known.studyInstanceUid));
    const [, ...open] = await Promise.all([
      isWanted && publishArrival(redis, config.redis.prefix, { source, orthancStudyId, from, instances }),
      ...known.deliveries.map((id) => records.arrival(id)),
    ]);
    known.starts = new Set(open.map((one) => one?.arriving));
    return isWanted || !known.starts.has(from) ? open : this.#announce(orthanc, known, arrived, signal);
  }

  /** @returns undefined if there is nothing new */
  async #begin(
    orthanc: OrthancClient,
    epoch: number,
    orthancStudyId: string,
    signal: AbortSignal,
  ): Promise<KnownStudy | undefined> {
    const { source, log } = this.#dependencies;
    const { config, rules, cache } = this.#dependencies.rules();
    const context = this.#dependencies.handOver();
    const read = () => readForRouting(orthanc, config, rules, { source, orthancStudyId }, { cache, signal });
    const snapshot = await read();
    const { study, manifest } = snapshot;
    const before = await context.records.study({ source, orthancStudyId });
    this.#studies.delete(orthancStudyId);
    // It is being routed as a complete study, or has been: the report is old.
    if (study.isStable === true || before?.contentHash === contentHash(manifest)) return undefined;
    const pulled = new PulledStudies(context.redis, context.config.redis.prefix);
    if (await wasPulled({ records: context.records, pulled }, source, snapshot, read)) return undefined;
    const routing = routeStudy(rules, study.facts, { isArriving: true });
    await this.#dependencies.confirm();
    // A push may have been given the epoch of a moment ago.
    const current = await readFeedState(context.redis, context.config.redis.prefix, source);
    const deliveries =
      routing.deliveries.length === 0
        ? []
        : await enqueueArriving(context, {
            source,
            epoch: String(Math.max(epoch, current?.epoch ?? epoch)),
            snapshot,
            rules: routing.rules,
            deliveries: routing.deliveries,
          });
    if (deliveries.length > 0) {
      const facts = { source, study: study.studyInstanceUid, rules: routing.rules, deliveries };
      log.info(facts, 'study is sent while it arrives');
    }
    const known: KnownStudy = {
      rules,
      studyInstanceUid: study.studyInstanceUid,
      series: new Set(
        Array.from(this.#series).flatMap(([id, { studyId }]) => (studyId === orthancStudyId ? [id] : [])),
      ),
      deliveries,
      starts: new Set(),
    };
    this.#studies.set(orthancStudyId, known);
    return known;
  }
}
