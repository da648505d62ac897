import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Circuits, type CircuitPauses } from '@dicom-dispatch/state/circuit';
import { IntermediateCache } from '@dicom-dispatch/cache';
import { createLedger, createStudyLocks } from '@dicom-dispatch/state/ledger';
import { openReceipts } from '@dicom-dispatch/state/receipts';
import { Priors } from '@dicom-dispatch/state/priors';
import { Records } from '@dicom-dispatch/state/records';
import { SharedUids, UidClaims } from '@dicom-dispatch/state/shared-uids';
import { TargetPlaces } from '@dicom-dispatch/state/target-places';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { fingerprint, type CacheConfig, type Config, type DispatchError } from '@dicom-dispatch/core';
import type { Logger, Redis, RedisWatch, Registry } from '@dicom-dispatch/runtime';
import { OpenQueues, promoteLongestWaiting, startPruning, wakeDelivery } from '@dicom-dispatch/pipeline';
import { resolveTarget } from '@dicom-dispatch/targets';
import { TargetStats } from '@dicom-dispatch/state/target-stats';
import type { DispatcherContext } from './dispatcher-context.ts';
import { createDispatcherMetrics } from './dispatcher-metrics.ts';
import { evacuate } from './evacuate.ts';
import { ArrivalListener } from './listen-for-arrivals.ts';
import { MemoryBudget } from './memory-budget.ts';
import { registerPlaces } from './register-places.ts';
import { pruneReceipts } from './prune-receipts.ts';
import { redisMailbox } from './redis-mailbox.ts';
import { stateKey } from './redis-state.ts';
import { SharedListings } from './shared-listings.ts';
import { Sources } from './sources.ts';
import { Throttle } from './throttle.ts';

export interface DispatcherOptions {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pauses between probes of a target that is unreachable; tests shorten them. */
  readonly circuitPauses?: CircuitPauses;
  /** Watches the Redis for the whole process. Default: a separate one. */
  readonly watch?: RedisWatch;
}

/** Values that the start has completed. */
export type WatchedOptions = DispatcherOptions & { readonly watch: RedisWatch };

export type FullContext = DispatcherContext & {
  readonly active: Set<string>;
  reload(config: Config): Promise<void>;
  close(): Promise<void>;
};

/** Interval for removing old receipts from a folder. */
const pruneEveryMs = 6 * 3_600_000;

/** Creates the objects that all deliveries of one dispatcher share, with the latest applied configuration. */
export async function createContext(options: WatchedOptions): Promise<FullContext> {
  const { redis, log, metrics: registry } = options;
  let { config } = options;
  const prefix = config.redis.prefix;
  const queues = new OpenQueues(redis, config);
  let cache = await openCache(config.cache);
  const sources = new Sources({ redis, log, config, cache });
  const throttles = new Map<string, Throttle>();
  const memory = new MemoryBudget(config.dispatcher.memory);
  const metrics = createDispatcherMetrics(registry);
  metrics.begin(Object.keys(config.targets));
  const places = new TargetPlaces(redis, prefix);
  const records = new Records(redis, prefix);
  await registerPlaces(places, config, log);
  const receiptPruning = setInterval(() => void pruneReceipts(config, log), pruneEveryMs).unref();
  const pruning = startPruning(() => (config.cache.folder ? cache : undefined));

  function openCache(cacheConfig: CacheConfig): Promise<IntermediateCache> {
    return IntermediateCache.open(redis, cacheConfig, {
      prefix,
      onWarning: ({ code, message, type }) => log.warn({ code, type, reason: message }, 'the cache reported an error'),
    });
  }

  const context: FullContext = {
    get config() {
      return config;
    },
    async reload(next) {
      if (fingerprint(next.cache) !== fingerprint(config.cache)) cache = await openCache(next.cache);
      sources.reload(next, cache);
      throttles.clear();
      memory.resize(next.dispatcher.memory);
      config = next;
      metrics.begin(Object.keys(next.targets));
      await registerPlaces(places, config, log);
    },
    worker: `${hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`,
    redis,
    untilGood: (signal) => options.watch.untilGood(signal),
    ledger: createLedger(redis, { prefix }),
    tasks: new TaskRecords(redis, prefix),
    studyLocks: createStudyLocks(redis, { prefix }),
    receipts: () => openReceipts(redis, config),
    records,
    priors: new Priors(redis, prefix),
    circuits: new Circuits(redis, prefix, options.circuitPauses),
    sharedUids: new SharedUids(redis, prefix),
    uidClaims: new UidClaims(redis, prefix),
    places,
    stats: new TargetStats(redis, prefix),
    queues,
    mailbox: redisMailbox({ redis, prefix, records, log }),
    arrivals: new ArrivalListener(redis, prefix),
    metrics,
    memory,
    log,
    sources,
    active: new Set(),
    resolve: (target) => resolveTarget(target, config.targets[target]),
    throttle(target, bytes, signal) {
      metrics.bytes.inc({ target }, bytes);
      const rate = config.targets[target]?.rateLimit?.bytesPerSecond;
      if (!rate) return undefined;
      const throttle = throttles.get(target) ?? new Throttle(rate);
      throttles.set(target, throttle);
      return throttle.sent(bytes, signal);
    },
    listings: (target, manifest) => new SharedListings(cache, target, manifest),
    async clearState(id) {
      await redis.unlink(stateKey(prefix, id));
    },
    async promoteLongestWaiting({ target, priority }) {
      await promoteLongestWaiting(redis, prefix, queues.target(target), target, priority).catch((error: unknown) =>
        log.warn({ err: error, target }, 'the longest waiting delivery could not be promoted'),
      );
    },
    circuitOpened(target: string, error: DispatchError) {
      log.error(
        { target, code: error.code, reason: error.message, remedy: error.remedy },
        'circuit opened: the target cannot be used',
      );
      void evacuate(context, target, `${error.code}: ${error.message}`).catch((thrown: unknown) =>
        log.warn({ err: thrown, target }, 'waiting deliveries could not be moved to other targets'),
      );
    },
    async targetAnswers(target) {
      const { closed, waiting } = await context.circuits.succeed(target);
      if (closed) log.info({ target }, 'circuit closed: the target can be used again');
      for (const id of waiting) {
        if ((await context.records.delivery(id))?.wake === 'circuit') await context.wake(id);
      }
    },
    async wake(id) {
      await wakeDelivery(context, id);
    },
    async close() {
      pruning.stop();
      clearInterval(receiptPruning);
      context.arrivals.stop();
      await queues.close();
      await sources.close();
    },
  };
  return context;
}
