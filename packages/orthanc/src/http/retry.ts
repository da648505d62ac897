import { setTimeout as sleep } from 'node:timers/promises';

import { OrthancError } from '../orthanc-error.ts';
import { translateAbort } from '../translate-error.ts';
import type { CallName } from '../translate-error.ts';

export interface RetryOptions {
  /** May a broken connection be tried again. Not where the transport below has done so. */
  onReset: boolean;
  /** Longest wait that the server may ask for, in milliseconds. */
  maxRetryAfterMs: number;
  signal: AbortSignal | undefined;
}

const maxWaits = 3;

/**
 * Repeats an idempotent read: once after a reset, and up to three times after a 503 or 429 that says when to come back,
 * as long as that is soon enough. Everything else is the caller's to judge.
 *
 * @param attempt called with true after a reset: then it must take a new connection, since other kept ones may be dead too
 */
export async function retryRead<T>(
  call: CallName,
  options: RetryOptions,
  attempt: (anew: boolean) => Promise<T>,
): Promise<T> {
  let mayReset = options.onReset;
  let anew = false;
  for (let waits = 0; ;) {
    try {
      return await attempt(anew);
    } catch (error) {
      if (!(error instanceof OrthancError)) throw error;
      if (error.code === 'reset' && mayReset) {
        mayReset = false;
        anew = true;
        continue;
      }
      const waitMs = error.code === 'busy' ? error.retryAfterMs : undefined;
      if (waitMs === undefined || waitMs > options.maxRetryAfterMs || waits >= maxWaits) throw error;
      waits += 1;
      await pause(call, waitMs, options.signal);
    }
  }
}

async function pause(call: CallName, waitMs: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(waitMs, undefined, signal === undefined ? {} : { signal });
  } catch {
    throw translateAbort(signal?.reason, call);
  }
}
