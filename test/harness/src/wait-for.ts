import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 10 000. */
  readonly timeoutMs?: number;
  /** What was waited for, for the error; a function is asked when the time is over. */
  readonly message?: string | (() => string);
  /** Default 15. */
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
  const { timeoutMs = 10_000, intervalMs = 15, message = 'the condition' } = options;
  const end = performance.now() + timeoutMs;
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
    await delay(intervalMs);
  }
}
