import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 600 000: far above the usual time, because the machine may be slow or busy. */
  readonly timeoutMs?: number;
  /** Name of the condition, for the error; a function is called after the timeout. */
  readonly message?: string | (() => string);
  /** Pause between two checks. Default: increases from 15 to 250, a twelfth of the time so far. */
  readonly intervalMs?: number;
}

/**
 * Checks until the condition returns a truthy value, and returns it. A condition that throws is not met yet; its last error
 * becomes the cause after the timeout.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | undefined | null | 0 | ''>> {
  const { timeoutMs = 600_000, intervalMs, message = 'the condition' } = options;
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
    // After seconds, another 250 ms do not matter, but frequent checks would slow down the checked process.
    await delay(intervalMs ?? Math.min(250, Math.max(15, (performance.now() - begin) / 12)));
  }
}
