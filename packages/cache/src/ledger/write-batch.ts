import { DispatchError } from '@dicom-dispatch/core';
import type { RedisClient } from '../redis/redis-client.ts';
import { withDeadline } from '../redis/with-deadline.ts';
import { writeScript } from './ledger-scripts.ts';
import type { Fence } from './ledger-types.ts';

/** An entry to write: its shard (from 1), field, value ('' removes it) and note. */
export type LedgerWrite = readonly [shard: number, field: string, value: string, note: string];

interface Waiting {
  readonly keys: readonly string[];
  readonly fence: Fence | undefined;
  readonly writes: LedgerWrite[];
  readonly callers: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[];
}

/** Redis runs a script to its end: so many entries take it about a millisecond. */
const longestBatch = 500;

/**
 * Collects what many lanes of a delivery write in one turn of the event loop into one call. A caller that awaits each
 * write loses nothing: its call leaves at the end of the same turn.
 */
export class WriteBatch {
  readonly #redis: RedisClient;
  readonly #timeoutMs: number;
  #waiting = new Map<string, Waiting>();

  constructor(redis: RedisClient, timeoutMs: number) {
    this.#redis = redis;
    this.#timeoutMs = timeoutMs;
  }

  /** Resolves when Redis has taken all of the writes. @throws DispatchError lock-lost, ledger-unavailable */
  async add(keys: readonly string[], fence: Fence | undefined, writes: readonly LedgerWrite[]): Promise<void> {
    const parts: Promise<void>[] = [];
    for (let from = 0; from < writes.length; from += longestBatch) {
      parts.push(this.#enqueue(keys, fence, writes.slice(from, from + longestBatch)));
    }
    await Promise.all(parts);
  }

  #enqueue(keys: readonly string[], fence: Fence | undefined, writes: readonly LedgerWrite[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const group = JSON.stringify([keys[0], fence?.lockKey, fence?.token]);
    let waiting = this.#waiting.get(group);
    if (waiting && waiting.writes.length + writes.length > longestBatch) {
      this.#waiting.delete(group);
      void this.#send(waiting);
      waiting = undefined;
    }
    if (!waiting) {
      waiting = { keys, fence, writes: [], callers: [] };
      if (this.#waiting.size === 0) setImmediate(() => this.#flush());
      this.#waiting.set(group, waiting);
    }
    waiting.writes.push(...writes);
    waiting.callers.push({ resolve, reject });
    return promise;
  }

  #flush(): void {
    const groups = this.#waiting;
    this.#waiting = new Map();
    for (const waiting of groups.values()) void this.#send(waiting);
  }

  async #send({ keys, fence, writes, callers }: Waiting): Promise<void> {
    try {
      const answer = await withDeadline(
        writeScript.run(this.#redis, fence ? [...keys, fence.lockKey] : keys, [fence?.token ?? '', ...writes.flat()]),
        this.#timeoutMs,
      );
      if (answer !== 1)
        throw new DispatchError('lock-lost', 'the lock of the delivery is no longer held by this worker');
      for (const caller of callers) caller.resolve();
    } catch (error) {
      for (const caller of callers) caller.reject(asLedgerError(error));
    }
  }
}

export function asLedgerError(error: unknown): DispatchError {
  if (error instanceof DispatchError) return error;
  return new DispatchError('ledger-unavailable', 'Redis did not answer for the ledger', { cause: error });
}
