import { setTimeout as sleep } from 'node:timers/promises';

import { OrthancError } from '../orthanc-error.ts';
import { translateAbort } from '../translate-error.ts';
import type { CallName } from '../translate-error.ts';

export interface RetryOptions {
  /** Whether a broken connection may be tried again. Not if the transport below has done so. */
  onReset: boolean;
  /** Maximum accepted wait, in milliseconds. */
  maxRetryAfterMs: number;
  signal: AbortSignal | undefined;
}

const maxWaits = 3;

/**
 * Repeats an idempotent request: once after a reset, and up to three times after a 503 or 429 with a Retry-After
 * that is short enough. The caller handles everything else.
 *
 * @param attempt called with true after a reset: then it must use a new connection, since other idle ones may be broken too
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
