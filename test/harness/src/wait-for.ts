import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 60 000: far above what any of them takes, a busy machine is no fault. */
  readonly timeoutMs?: number;
  /** What was waited for, for the error; a function is asked when the time is over. */
  readonly message?: string | (() => string);
  /** How long it pauses before it asks again. Default 15 at first, and more the longer it takes: at most 50. */
  readonly intervalMs?: number;
}

/**
 * Asks until the condition gives something true, and returns it. A condition that throws is not true yet; its last error
 * becomes the cause when the time is over.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | undefined | null | 0 | ''>> {
  const { timeoutMs = 60_000, intervalMs, message = 'the condition' } = options;
  const begin = performance.now();
  const end = begin + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as Exclude<T, false | undefined | null | 0 | ''>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > end) {
      const text = typeof message === 'function' ? message() : message;
      throw new Error(`waited ${timeoutMs} ms in vain for ${text}`, { cause });
    }
    // Who waits for seconds does not notice a twentieth of one, but whoever has to answer does.
    await delay(intervalMs ?? Math.min(50, Math.max(15, (performance.now() - begin) / 40)));
  }
}
