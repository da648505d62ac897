import { hostname } from 'node:os';
import { randomBytes } from 'node:crypto';
import { studyQueue, targetQueue, type Config, type DispatchError } from '@dicom-dispatch/core';
import { Circuits } from '@dicom-dispatch/cache/circuit';
import { createLedger } from '@dicom-dispatch/cache/ledger';
import { Records } from '@dicom-dispatch/cache/records';
import {
  redisDependency,
  workerOptions,
  type Logger,
  type Redis,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import { openInstance, openSource, readManifest, readStudy, type OrthancClient } from '@dicom-dispatch/sources';
import { resolveTarget } from '@dicom-dispatch/targets';
import { UnrecoverableError, Worker, type Job } from 'bullmq';
import { createDispatcherMetrics } from './dispatcher-metrics.ts';
import type { DispatcherContext, SourceReader } from './dispatcher-context.ts';
import { DeliveryStats } from './delivery-stats.ts';
import { processDelivery, type StopReason } from './process-delivery.ts';
import { processStudyTask } from './process-study-task.ts';
import { stateKey } from './redis-state.ts';
import { Throttle } from './throttle.ts';
import { watchCancellations } from './watch-cancellations.ts';
import { watchPauses } from './watch-pauses.ts';
import { startHeartbeat } from './heartbeat.ts';

export interface DispatcherOptions {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
}

/**
 * Starts a dispatcher: a worker for the deliveries of each target, and one for study tasks. Any number of dispatchers
 * share the work; what is configured per target holds over all of them.
 */
export async function startDispatcher(options: DispatcherOptions): Promise<RunningService> {
  const { config, redis, log } = options;
  const prefix = config.redis.prefix;
  const context = createContext(options);
  const workers = new Map<string, Worker>();

  for (const [name, target] of Object.entries(config.targets)) {
    const worker: Worker = new Worker(
      targetQueue(name),
      async (job: Job, token?: string, signal?: AbortSignal) => {
        const id = job.id ?? '';
        context.active.add(id);
        try {
          return await processDelivery(context, {
            job,
            token: token ?? '',
            signal: signal ?? new AbortController().signal,
            pauseTarget: (ms) => worker.rateLimit(Math.max(1, Math.ceil(ms))),
          });
        } finally {
          context.active.delete(id);
        }
      },
      {
        ...workerOptions(redis, prefix, Math.min(target.concurrency, config.dispatcher.concurrency), config.dispatcher.lockTime),
        name: context.worker,
        ...(target.rateLimit?.deliveriesPerMinute !== undefined && {
          limiter: { max: target.rateLimit.deliveriesPerMinute, duration: 60_000 },
        }),
        settings: {
          backoffStrategy: (_attemptsMade, _type, _error, job) => {
            const id = job?.id ?? '';
            const waitMs = context.nextWait.get(id) ?? 1_000;
            context.nextWait.delete(id);
            return waitMs;
          },
        },
      },
    );
    workers.set(name, worker);
  }
  const studyWorker = new Worker(studyQueue, (job: Job) => processStudyTask(context, job), {
    ...workerOptions(redis, prefix, 4, config.dispatcher.lockTime),
    name: context.worker,
  });
  const all = [...workers.values(), studyWorker];
  for (const worker of all) watchWorker(worker, log);

  const stopAll = (reason: StopReason): void => {
    for (const worker of workers.values()) worker.cancelAllJobs(reason);
  };
  const cancellations = await watchCancellations(redis, prefix, (deliveryId) => {
    for (const worker of workers.values()) worker.cancelJob(deliveryId, 'cancelled' satisfies StopReason);
  });
  const pauses = watchPauses(config.dispatcher.lockTime, () => {
    log.warn('this process stood still for longer than its locks last; its deliveries are given up');
    stopAll('lock-lost');
  });
  const heartbeat = startHeartbeat(redis, prefix, context.worker, context.active);
  for (const worker of all) void worker.run().catch((error: unknown) => log.error({ err: error }, 'a worker ended'));
  log.info({ worker: context.worker, targets: workers.size }, 'dispatcher started');

  return {
    name: 'dispatcher',
    dependencies: async () => [await redisDependency(redis), ...(await context.sourceStates())],
    async stop() {
      pauses.stop();
      const closing = Promise.all(all.map((worker) => worker.close()));
      const grace = setTimeout(() => stopAll('shutdown'), config.dispatcher.graceTime);
      await closing;
      clearTimeout(grace);
      await Promise.all([cancellations.stop(), heartbeat.stop(), context.closeSources()]);
      log.info('dispatcher stopped');
    },
  };
}

function watchWorker(worker: Worker, log: Logger): void {
  worker.on('error', (error) => log.warn({ queue: worker.name, reason: error.message }, 'worker reports an error'));
  worker.on('lockRenewalFailed', (jobIds: string[]) => {
    for (const id of jobIds) worker.cancelJob(id, 'lock-lost' satisfies StopReason);
  });
  worker.on('stalled', (jobId) =>
    log.warn({ queue: worker.name, delivery: jobId }, 'a delivery of a dead worker is taken over'),
  );
}

type FullContext = DispatcherContext & {
  readonly active: Set<string>;
  sourceStates(): Promise<{ name: string; ok: boolean; detail: string }[]>;
  closeSources(): Promise<void>;
};

function createContext({ config, redis, log, metrics: registry }: DispatcherOptions): FullContext {
  const prefix = config.redis.prefix;
  const clients = new Map<string, Promise<OrthancClient>>();
  const throttles = new Map<string, Throttle>();
  const metrics = createDispatcherMetrics(registry);

  function client(name: string): Promise<OrthancClient> {
    const known = clients.get(name);
    if (known) return known;
    const source = config.sources[name];
    if (!source) throw new UnrecoverableError(`the source ${name} is no longer configured`);
    const opened = openSource(source);
    clients.set(name, opened);
    opened.catch(() => clients.delete(name));
    return opened;
  }

  return {
    config,
    worker: `${hostname()}-${process.pid}-${randomBytes(2).toString('hex')}`,
    redis,
    ledger: createLedger(redis, { prefix }),
    records: new Records(redis, prefix),
    circuits: new Circuits(redis, prefix),
    stats: new DeliveryStats(redis, prefix),
    metrics,
    log,
    nextWait: new Map(),
    active: new Set(),
    async source(name): Promise<SourceReader> {
      const orthanc = await client(name);
      return {
        readStudy: (id, signal) => readStudy(orthanc, name, id, signal),
        readManifest: (study, signal) => readManifest(orthanc, study, signal),
        open: (instance, openOptions) => openInstance(orthanc, name, instance, openOptions),
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
    isCancelled: async (id) => (await redis.exists(`${prefix}:cancelled:${id}`)) === 1,
    isHeld: async (id) => (await redis.sismember(`${prefix}:held`, id)) === 1,
    async retriedAt(id) {
      const at = await redis.hget(`${prefix}:delivery:${id}`, 'retriedAt');
      return at === null ? undefined : Number(at);
    },
    async clearState(id) {
      await redis.unlink(stateKey(prefix, id));
    },
    circuitOpened(target: string, error: DispatchError) {
      log.error(
        { target, code: error.code, reason: error.message, remedy: error.remedy },
        'circuit opened: the target cannot be used',
      );
    },
    circuitClosed(target: string) {
      log.info({ target }, 'circuit closed: the target can be used again');
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
    async closeSources() {
      await Promise.allSettled([...clients.values()].map(async (opened) => (await opened).close()));
    },
  };
}
