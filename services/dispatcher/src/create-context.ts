import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Circuits, type CircuitPauses } from '@dicom-dispatch/state/circuit';
import { IntermediateCache } from '@dicom-dispatch/cache';
import { readFeedState, seenChanges } from '@dicom-dispatch/state/feed';
import { createLedger, createStudyLocks } from '@dicom-dispatch/state/ledger';
import { openReceipts } from '@dicom-dispatch/state/receipts';
import { Priors } from '@dicom-dispatch/state/priors';
import { Records } from '@dicom-dispatch/state/records';
import { SharedUids } from '@dicom-dispatch/state/shared-uids';
import { TargetPlaces } from '@dicom-dispatch/state/target-places';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import {
  fingerprint,
  type CacheConfig,
  type Config,
  DispatchError,
  type ManifestInstance,
  type TransformConfig,
} from '@dicom-dispatch/core';
import type { Logger, Redis, RedisWatch, Registry } from '@dicom-dispatch/runtime';
import {
  createTransform,
  DigestBudget,
  isWell,
  openInstance,
  openSource,
  otherDatabase,
  proveGone,
  readManifest,
  readStudyWith,
  StorageLane,
  studyError,
  type KeepTransformed,
  type OrthancClient,
} from '@dicom-dispatch/sources';
import {
  forgetManifest,
  OpenQueues,
  readFacts,
  shareManifest,
  startPruning,
  wakeDelivery,
  promoteLongestWaiting,
} from '@dicom-dispatch/pipeline';
import { resolveTarget } from '@dicom-dispatch/targets';
import { TargetStats } from '@dicom-dispatch/state/target-stats';
import type { DispatcherContext, SourceReader } from './dispatcher-context.ts';
import { createDispatcherMetrics } from './dispatcher-metrics.ts';
import { evacuate } from './evacuate.ts';
import { ArrivalListener } from './listen-for-arrivals.ts';
import { MemoryBudget } from './memory-budget.ts';
import { registerPlaces } from './register-places.ts';
import { pruneReceipts } from './prune-receipts.ts';
import { redisMailbox } from './redis-mailbox.ts';
import { stateKey } from './redis-state.ts';
import { SharedListings } from './shared-listings.ts';
import { Throttle } from './throttle.ts';

export interface DispatcherOptions {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Pauses between probes of a target that is out of reach; tests shorten them. */
  readonly circuitPauses?: CircuitPauses;
  /** Watches the Redis for the whole process. Default: one of its own. */
  readonly watch?: RedisWatch;
}

/** What the start has filled in. */
export type WatchedOptions = DispatcherOptions & { readonly watch: RedisWatch };

export type FullContext = DispatcherContext & {
  readonly active: Set<string>;
  reload(config: Config): Promise<void>;
  sourceStates(): Promise<{ name: string; ok: boolean; detail: string }[]>;
  close(): Promise<void>;
};

/** How often receipts in a folder are looked through for old ones. */
const pruneEveryMs = 6 * 3_600_000;

/** Makes what all deliveries of one dispatcher share; the configuration in it is the latest that was taken over. */
export async function createContext(options: WatchedOptions): Promise<FullContext> {
  const { redis, log, metrics: registry } = options;
  let { config } = options;
  const prefix = config.redis.prefix;
  const retired: Promise<OrthancClient>[] = [];
  const queues = new OpenQueues(redis, config);
  let cache = await openCache(config.cache);
  const clients = new Map<string, Promise<OrthancClient>>();
  const lanes = new WeakMap<OrthancClient, StorageLane>();
  const digests = new DigestBudget();
  const throttles = new Map<string, Throttle>();
  const memory = new MemoryBudget(config.dispatcher.memory);
  const metrics = createDispatcherMetrics(registry);
  metrics.begin(Object.keys(config.targets));
  const places = new TargetPlaces(redis, prefix);
  await registerPlaces(places, config, log);
  const receiptPruning = setInterval(() => void pruneReceipts(config, log), pruneEveryMs).unref();
  const pruning = startPruning(() => (config.cache.folder ? cache : undefined));

  function client(name: string): Promise<OrthancClient> {
    const known = clients.get(name);
    if (known) return known;
    const source = config.sources[name];
    if (!source) throw new DispatchError('source-unreachable', `the source ${name} is not in the configuration`);
    const opened = openSource(source);
    clients.set(name, opened);
    opened.catch(() => clients.delete(name));
    return opened;
  }

  /** The way around REST to the files of a source. */
  function lane(name: string, orthanc: OrthancClient): StorageLane | undefined {
    const source = config.sources[name];
    const known = lanes.get(orthanc);
    if (known || !source) return known;
    const opened = new StorageLane({
      config: source,
      orthanc,
      report(event) {
        const fields = { source: name, folder: event.folder };
        if (event.kind === 'on') log.info(fields, 'instances are read from the storage folder of the source');
        else log.warn({ ...fields, reason: event.reason }, 'the storage folder of the source cannot be used');
      },
    });
    lanes.set(orthanc, opened);
    return opened;
  }

  function isDigested(name: string, { sizeBytes }: ManifestInstance): boolean {
    const wanted = config.sources[name]?.digest;
    return wanted === 'always' || (wanted === 'sample' && digests.take(sizeBytes));
  }

  function openCache(cacheConfig: CacheConfig): Promise<IntermediateCache> {
    return IntermediateCache.open(redis, cacheConfig, {
      prefix,
      onWarning: ({ code, message, type }) => log.warn({ code, type, reason: message }, 'the cache reported an error'),
    });
  }

  /**
   * One computes a changed instance, whoever needs it too waits for it. What is not anonymised holds patient data
   * (docs/decisions/0005).
   */
  function keepTransformed(definition: TransformConfig): KeepTransformed {
    const confidential = definition.anonymise === undefined;
    const type = 'transformed-instance';
    return {
      keep: (key, produce, signal) =>
        cache.getOrComputeStream(type, key, produce, { confidential, ...(signal && { signal }) }),
      forget: (key) => cache.invalidate(type, key),
    };
  }

  const context: FullContext = {
    get config() {
      return config;
    },
    async reload(next) {
      if (fingerprint(next.cache) !== fingerprint(config.cache)) cache = await openCache(next.cache);
      for (const [name, opened] of clients) {
        if (fingerprint(next.sources[name]) === fingerprint(config.sources[name])) continue;
        // Deliveries under way still read from it; it is closed with the dispatcher.
        retired.push(opened);
        clients.delete(name);
      }
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
    records: new Records(redis, prefix),
    priors: new Priors(redis, prefix),
    circuits: new Circuits(redis, prefix, options.circuitPauses),
    sharedUids: new SharedUids(redis, prefix),
    places,
    stats: new TargetStats(redis, prefix),
    queues,
    mailbox: redisMailbox(redis, prefix),
    arrivals: new ArrivalListener(redis, prefix),
    metrics,
    memory,
    log,
    active: new Set(),
    async source(name): Promise<SourceReader> {
      const orthanc = await client(name);
      return {
        orthanc,
        readStudy: (id, wanted, signal) => readStudyWith(orthanc, name, id, wanted, signal),
        readManifest: (study, signal) => readManifest(orthanc, study, signal),
        async shareManifest({ lastUpdate, ...study }, how, signal) {
          const read = () => readManifest(orthanc, study, signal);
          if (lastUpdate === undefined) return { instances: await read(), isShared: false };
          const moment = { ...study, lastUpdate };
          if (how === 'anew') await forgetManifest(cache, moment);
          return how === 'anew'
            ? { instances: await read(), isShared: false }
            : shareManifest(cache, moment, read, signal);
        },
        readInstanceTags: async (study, names, signal) => {
          try {
            const wanted = { study: [], series: [], instance: names };
            return (await readFacts(orthanc, study, wanted, cache, signal)).instances;
          } catch (error) {
            throw await studyError(error, orthanc, study, 'manifest', signal);
          }
        },
        transform: (definition) =>
          createTransform({
            orthanc,
            source: name,
            definition,
            pseudonyms: config.pseudonyms,
            ...(config.cache.enabled && { keep: keepTransformed(definition) }),
          }),
        open: (instance, openOptions) => {
          // What has failed before is read by REST, whatever lies in the folder.
          const hasFailed = openOptions?.digest === true;
          const digest = hasFailed || isDigested(name, instance);
          const storage = hasFailed ? undefined : lane(name, orthanc);
          const digestAnswered = (tookMs: number): void => digests.answered(tookMs);
          return openInstance(orthanc, name, instance, { ...openOptions, digest, digestAnswered, storage });
        },
        async proveGone({ orthancStudyId, epoch }, signal) {
          const feed = await readFeedState(redis, prefix, name);
          if (feed && String(feed.epoch) !== epoch) return otherDatabase(name);
          return proveGone(orthanc, { source: name, orthancStudyId }, feed ? seenChanges(feed) : [], signal);
        },
        isWell: (signal) => isWell({ orthanc, signal }),
      };
    },
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
    sourceStates: () =>
      Promise.all(
        Object.keys(config.sources).map(async (name) => {
          try {
            await (await client(name)).system({ timeoutMs: 2_000 });
            return { name: `source ${name}`, ok: true, detail: 'answers' };
          } catch (error) {
            return { name: `source ${name}`, ok: false, detail: (error as Error).message };
          }
        }),
      ),
    async close() {
      pruning.stop();
      clearInterval(receiptPruning);
      context.arrivals.stop();
      await queues.close();
      await Promise.allSettled([...clients.values(), ...retired].map(async (opened) => (await opened).close()));
    },
  };
  return context;
}
