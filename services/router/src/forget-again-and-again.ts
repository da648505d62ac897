import { setTimeout as sleep } from 'node:timers/promises';
import { LeaseLost } from './lease-lost.ts';
import { forgetOldStudies, type ForgetDependencies } from './forget-old-studies.ts';

/** Pause between two passes over all studies that are old enough. */
const everyMs = 86_400_000;
/** Interval of checks after a failure, and while it is disabled. */
const againMs = 600_000;
const pauseMs = 1_000;

/**
 * Removes old records once a day, as the leader of a source. A failure stops nothing else: it is reported, and the pass is
 * repeated.
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
