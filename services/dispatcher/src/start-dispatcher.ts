import { studyQueue, type Config } from '@dicom-dispatch/core';
import { applyLimits, endOperatorLimits, startReconciler } from '@dicom-dispatch/pipeline';
import { endInTime, redisDependency, RedisWatch, workerOptions, type RunningService } from '@dicom-dispatch/runtime';
import { Worker, type Job } from 'bullmq';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { startAudits } from './audit/start-audits.ts';
import { closeWorkers } from './close-workers.ts';
import { createContext, type DispatcherOptions } from './create-context.ts';
import { startHeartbeat } from './heartbeat.ts';
import type { StopReason } from './delivery-job-run.ts';
import { giveUpOnLoss } from './give-up-on-loss.ts';
import { startPriors } from './priors/start-priors.ts';
import { processStudyTask } from './process-study-task.ts';
import { TargetServices } from './serve-targets.ts';
import { createTargetWorker, watchWorker, type TargetWorker } from './target-worker.ts';
import { watchCancellations } from './watch-cancellations.ts';
import { wakeForSchedule } from './wake-for-schedule.ts';
import { watchPauses } from './watch-pauses.ts';

export type { DispatcherOptions } from './create-context.ts';

/** Time for ending the remaining objects when nothing is running any more, in milliseconds. */
const leftoversEndMs = 2_000;

/**
 * Starts a dispatcher: a worker for the deliveries of each target, and one for study tasks. Any number of dispatchers
 * share the work; limits per target apply to all of them together.
 */
export async function startDispatcher(options: DispatcherOptions): Promise<RunningService> {
  const { config, redis, log } = options;
  const prefix = config.redis.prefix;
  const watch = options.watch ?? new RedisWatch({ redis, prefix, services: ['dispatcher'], log });
  await watch.first;
  const context = await createContext({ ...options, watch });
  const workers = new Map<string, TargetWorker & { readonly concurrency: number }>();
  const limits = { redis, queues: context.queues, keys: redisKeys(prefix) };
  /** Workers of removed or changed targets: they finish running deliveries. */
  const leaving = new Map<Worker, Promise<void>>();
  /** Ids of running study tasks. */
  const tasks = new Set<string>();
  const stopping = new AbortController();
  /** Resolves when waiting deliveries have been woken, for one reload after another. */
  let waking = Promise.resolve();
  const runStudyTask = async (job: Job, token?: string): Promise<unknown> => {
    const id = job.id ?? '';
    tasks.add(id);
    try {
      await watch.untilGood(stopping.signal);
      return await processStudyTask(context, job, token ?? '');
    } finally {
      tasks.delete(id);
    }
  };
  const studyWorker = new Worker(studyQueue, runStudyTask, {
    ...workerOptions(redis, prefix, 4, config.dispatcher.lockTime),
    name: context.worker,
  });
  watchWorker(studyWorker, log);

  const stopAll = (reason: StopReason): void => {
    for (const worker of allWorkers()) worker.cancelAllJobs(reason);
  };
  const cancellations = await watchCancellations(redis, prefix, context.active, (deliveryId) => {
    for (const worker of allWorkers()) worker.cancelJob(deliveryId, 'cancelled' satisfies StopReason);
  });
  const pauses = watchPauses(config.dispatcher.lockTime, () => {
    log.warn('this process was suspended for longer than its lock duration; its deliveries are abandoned');
    stopAll('lock-lost');
  });
  const reconciler = startReconciler({ ...context, config: () => context.config });
  const audits = startAudits(context);
  const priors = startPriors(context);
  const stopWatching = giveUpOnLoss({
    watch,
    giveUp: () => stopAll('lock-lost'),
    prepare: () => applyAllLimits(context.config),
    log,
  });
  const heartbeat = startHeartbeat(redis, prefix, context.worker, context.active);
  const services = new TargetServices(context, context.mailbox);
  await services.go(config);
  await startWorkers(config);
  run(studyWorker);
  log.info({ worker: context.worker, targets: workers.size }, 'dispatcher started');

  return {
    name: 'dispatcher',
    dependencies: async () => [
      await redisDependency(redis),
      ...watch.dependencies(),
      ...(await context.sources.states()),
    ],
    async reload(next) {
      const before = context.config;
      await context.reload(next);
      priors.reload(next);
      await services.go(next);
      await endOperatorLimits(limits);
      await startWorkers(next);
      // A reload must respond within seconds, and thousands of deliveries may be waiting.
      waking = waking.then(() => wakeWaiting(before, next));
      log.info({ targets: workers.size }, 'configuration reloaded');
    },
    async reread() {
      await endOperatorLimits(limits);
      await applyAllLimits(context.config);
    },
    async stop() {
      pauses.stop();
      stopping.abort(new Error('the dispatcher is stopping'));
      reconciler.stop();
      const auditsEnd = audits.stop();
      const priorsEnd = priors.stop();
      for (const { gate } of workers.values()) gate.end();
      stopWatching();
      await closeWorkers({
        workers: [...Array.from(workers.values(), ({ worker }) => worker), studyWorker],
        leaving: [...leaving.values()],
        underWay: () => [...context.active, ...tasks],
        graceMs: context.config.dispatcher.graceTime,
        stopAll,
        redis,
        log,
      });
      // Deliveries need these until they have ended.
      await endInTime(
        log,
        {
          'services of target handlers': () => services.stop(),
          cancellations: () => cancellations.stop(),
          audits: () => auditsEnd,
          priors: () => priorsEnd,
          heartbeat: () => heartbeat.stop(),
          'waking deliveries': () => waking,
          'queues and sources': () => context.close(),
        },
        leftoversEndMs,
      );
      if (!options.watch) await watch.stop();
      log.info('dispatcher stopped');
    },
  };

  /** Creates and removes workers according to the configuration. */
  async function startWorkers(next: Config): Promise<void> {
    for (const [name, { worker, gate, concurrency }] of workers) {
      if (next.targets[name] && concurrency === next.dispatcher.concurrency) continue;
      workers.delete(name);
      gate.end();
      leaving.set(
        worker,
        worker.close().finally(() => leaving.delete(worker)),
      );
    }
    await applyAllLimits(next);
    for (const name of Object.keys(next.targets)) {
      if (workers.has(name)) continue;
      const made = createTargetWorker(context, redis, name);
      workers.set(name, { ...made, concurrency: next.dispatcher.concurrency });
      run(made.worker);
    }
  }

  async function wakeWaiting(before: Config, after: Config): Promise<void> {
    try {
      const woken = await wakeForSchedule(context, before, after, stopping.signal);
      if (woken > 0) log.info({ woken }, 'deliveries that wait for a changed schedule were woken');
    } catch (error) {
      if (stopping.signal.aborted) return;
      log.warn({ err: error }, 'deliveries could not be woken for a changed schedule: each checks it at its own time');
    }
  }

  async function applyAllLimits({ targets }: Config): Promise<void> {
    for (const [name, target] of Object.entries(targets)) await applyLimits(limits, name, target);
  }

  function allWorkers(): Worker[] {
    return [...Array.from(workers.values(), ({ worker }) => worker), ...leaving.keys()];
  }

  function run(worker: Worker): void {
    void worker.run().catch((error: unknown) => log.error({ err: error }, 'a worker ended'));
  }
}
