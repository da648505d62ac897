import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { lockScript, renewScript, unlockScript } from './cache-scripts.ts';
import type { CacheStore } from './cache-store.ts';

export interface ComputeSteps<T> {
  /** Checks whether the value exists by now. */
  find(): Promise<T | undefined>;
  /** Computes and stores it. `kept` false: others would not find it. */
  make(): Promise<{ readonly value: T; readonly kept: boolean }>;
}

export interface ComputeOptions {
  /** A worker that does not renew its lock for this time counts as crashed, and another computes instead. */
  readonly leaseMs: number;
  readonly signal?: AbortSignal | undefined;
}

const uncached = 'uncached';
/** How long the lock shows that a value cannot be stored: other workers then compute it without waiting. */
const uncachedMs = 10_000;

/**
 * One worker of all processes computes a missing value while the others wait for it. If that worker fails or
 * crashes, the next tries. Without Redis, every worker computes its own.
 */
export async function computeOnce<T>(
  store: CacheStore,
  address: string,
  steps: ComputeSteps<T>,
  options: ComputeOptions,
): Promise<T> {
  const lock = `${store.base}computing:${address}`;
  const token = randomUUID();
  const { leaseMs, signal } = options;
  for (let pauseMs = 10; ; pauseMs = Math.min(250, pauseMs * 2)) {
    const held = await store.ask((redis) => lockScript.run(redis, [lock], [token, leaseMs]));
    if (held === '') break;
    if (held === undefined || held === uncached) return (await steps.make()).value;
    await delay(pauseMs * (0.5 + Math.random()), undefined, { signal });
    const found = await steps.find();
    if (found !== undefined) return found;
  }
  const renewal = setInterval(() => {
    void store.ask((redis) => renewScript.run(redis, [lock], [token, leaseMs]));
  }, leaseMs / 3);
  let leave = '';
  try {
    // Another worker may have finished between our check and our lock.
    const found = await steps.find();
    if (found !== undefined) return found;
    const { value, kept } = await steps.make();
    if (!kept) leave = uncached;
    return value;
  } finally {
    clearInterval(renewal);
    await store.ask((redis) => unlockScript.run(redis, [lock], [token, leave, uncachedMs]));
  }
}
