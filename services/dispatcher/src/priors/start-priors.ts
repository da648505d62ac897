import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { StudyEnqueuer } from '@dicom-dispatch/pipeline';
import { priorsLeaseMs, PulledStudies, type PriorsStep } from '@dicom-dispatch/state/priors';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { Config } from '@dicom-dispatch/core';
import type { DispatcherContext } from '../dispatcher-context.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { runPriors } from './run-priors.ts';

/** Interval for checking for due steps. A completed step starts the next one immediately. */
const lookEveryMs = 1_000;
/** Pause after an error of Redis. */
const troubleMs = 5_000;
/** Number of steps that one dispatcher processes at the same time. */
const atOnce = 4;

/**
 * Processes the priors of studies: each step in one of all dispatchers. If that dispatcher stops renewing its lease, another
 * one takes the step over within about half a minute.
 */
export function startPriors(context: DispatcherContext): { reload(next: Config): void; stop(): Promise<void> } {
  const { redis, records, priors, log } = context;
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const enqueuer = new StudyEnqueuer(context.config, redis, records);
  const pulled = new PulledStudies(redis, context.config.redis.prefix);
  const exclusively = oneAtATime();
  let looking: Promise<void> | undefined;
  const timer = setInterval(lookOnce, lookEveryMs);
  timer.unref();
  return {
    reload: (next) => enqueuer.reload(next),
    async stop() {
      clearInterval(timer);
      stopping.abort(new Error('the dispatcher is stopping'));
      await looking;
      await Promise.all(running);
      await enqueuer.close();
    },
  };

  function lookOnce(): void {
    if (!stopping.signal.aborted) looking ??= look().finally(() => (looking = undefined));
  }

  async function look(): Promise<void> {
    if (redis.status !== 'ready') return;
    try {
      await context.untilGood(stopping.signal);
      while (running.size < atOnce && !stopping.signal.aborted) {
        const token = `${context.worker} ${randomUUID()}`;
        const step = await priors.claim(token);
        if (!step) return;
        const work = run(step, token).finally(() => {
          running.delete(work);
          lookOnce();
        });
        running.add(work);
      }
    } catch (error) {
      if (stopping.signal.aborted) return;
      log.warn({ err: error }, 'prior steps could not be read; trying again');
      await sleep(troubleMs, undefined, { signal: stopping.signal }).catch(() => {});
    }
  }

  async function run(step: PriorsStep, token: string): Promise<void> {
    const { source, studyInstanceUid: study, target } = step;
    const lost = new AbortController();
    const renewing = setInterval(() => {
      priors.renew(step, token).then(
        (isOurs) => isOurs || lost.abort(new Error('another dispatcher has the step')),
        () => {},
      );
    }, priorsLeaseMs / 3);
    try {
      await runPriors(
        {
          config: context.config,
          redis,
          records,
          enqueuer,
          priors,
          pulled,
          exclusively,
          log,
          token,
          signal: AbortSignal.any([stopping.signal, lost.signal]),
          now: () => redisNow(redis, context.config.redis.prefix),
          source: (name) => context.sources.client(name),
          wake: (deliveryId) => context.wake(deliveryId),
        },
        step,
      );
    } catch (error) {
      // It is due again when its lease has expired.
      if (!stopping.signal.aborted) log.warn({ source, study, target, err: error }, 'priors failed; trying again');
    } finally {
      clearInterval(renewing);
    }
  }
}
