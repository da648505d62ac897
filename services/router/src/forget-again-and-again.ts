import { setTimeout as sleep } from 'node:timers/promises';
import { LeaseLost } from './lease-lost.ts';
import { forgetOldStudies, type ForgetDependencies } from './forget-old-studies.ts';

/** Pause between two looks at all studies that are old enough. */
const everyMs = 86_400_000;
/** After a failure, and while it is switched off: how soon it is looked whether it goes now. */
const againMs = 600_000;
const pauseMs = 1_000;

/**
 * Forgets what is old enough once a day, as the leader of a source. That it fails stops nothing else: it says so, and tries
 * again.
 *
 * @throws LeaseLost, or the reason of `signal`
 */
export async function forgetAgainAndAgain(
  dependencies: Omit<ForgetDependencies, 'keepMs' | 'pauseMs'>,
): Promise<never> {
  const { source, operations, signal, log } = dependencies;
  const { redis, keys } = operations;
  for (;;) {
    let restMs = againMs;
    try {
      const { keep } = operations.config().records;
      if (keep !== 'forever') {
        const sinceMs = dependencies.now() - Number((await redis.hget(keys.forgetting(source), 'endedAt')) ?? 0);
        if (sinceMs >= everyMs) await forgetOldStudies({ ...dependencies, keepMs: keep, pauseMs });
        else restMs = Math.min(againMs, everyMs - sinceMs);
      }
    } catch (error) {
      if (signal.aborted || error instanceof LeaseLost) throw error;
      log.warn(
        { source, reason: error instanceof Error ? error.message : String(error) },
        'records of old studies could not be removed; retried later',
      );
    }
    await sleep(restMs, undefined, { signal });
  }
}
