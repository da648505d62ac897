import type { TargetOptions } from '../config/target-options.ts';

/**
 * The wait in milliseconds before the next attempt: `first`, doubled for each attempt after the first, at most `max`, of
 * which the share `jitter` is random so that deliveries that failed together are not retried together.
 *
 * @param attemptsMade - attempts so far, 1 after the first
 * @param retryAfterMs - minimum requested by the target
 */
export function backOffMs(
  backoff: TargetOptions['backoff'],
  attemptsMade: number,
  retryAfterMs = 0,
  random: () => number = Math.random,
): number {
  const full = Math.min(backoff.max, backoff.first * 2 ** Math.min(attemptsMade - 1, 40));
  const spread = full * backoff.jitter;
  return Math.max(retryAfterMs, Math.round(full - spread + spread * random()));
}
