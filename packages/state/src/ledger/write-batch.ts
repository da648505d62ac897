import { setImmediate } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import type { RedisClient } from '../redis/redis-client.ts';
import { withDeadline } from '../redis/with-deadline.ts';
import { writeScript } from './ledger-scripts.ts';
import type { Fence } from './ledger-types.ts';

/** An entry to write: its shard (from 1), field, value ('' removes it), note, and details for the receipt. */
export type LedgerWrite = readonly [shard: number, field: string, value: string, note: string, receipt: string];

interface Waiting {
  readonly keys: readonly string[];
  readonly fence: Fence | undefined;
  readonly writes: LedgerWrite[];
  readonly callers: { readonly resolve: () => void; readonly reject: (error: unknown) => void }[];
}

/** Redis runs a script to its end: this number of entries takes about a millisecond. */
const longestBatch = 500;

/**
 * Under load, responses for several lanes arrive within this number of event loop iterations: waiting for four halves
 * the calls.
 */
const turnsToGather = 4;

/** The writes of one delivery: one call at a time, so that none overtakes another; later writes wait. */
interface Line {
  readonly waiting: Waiting[];
  isBusy: boolean;
}

/**
 * Combines the writes of parallel lanes of a delivery into few calls. A write is sent after a few iterations of the event loop, or after
 * the running call of its delivery, with all others that have been added. Each lane waits for its own write, so at most as many
 * confirmations as lanes are not yet written.
 */
export class WriteBatch {
  readonly #redis: RedisClient;
  readonly #timeoutMs: number;
  readonly #lines = new Map<string, Line>();

  readonly #unfold: (keys: readonly string[]) => Promise<void>;

  /** @param unfold - puts a folded ledger back into hashes, from which entries can be removed */
  constructor(redis: RedisClient, timeoutMs: number, unfold: (keys: readonly string[]) => Promise<void>) {
    this.#redis = redis;
    this.#timeoutMs = timeoutMs;
    this.#unfold = unfold;
  }

  /** Resolves when Redis has stored all writes. @throws DispatchError lock-lost, ledger-unavailable */
  async add(keys: readonly string[], fence: Fence | undefined, writes: readonly LedgerWrite[]): Promise<void> {
    if (writes.length <= longestBatch) return this.#enqueue(keys, fence, writes);
    const parts: Promise<void>[] = [];
    for (let from = 0; from < writes.length; from += longestBatch) {
      parts.push(this.#enqueue(keys, fence, writes.slice(from, from + longestBatch)));
    }
    await Promise.all(parts);
  }

  #enqueue(keys: readonly string[], fence: Fence | undefined, writes: readonly LedgerWrite[]): Promise<void> {
    if (writes.length === 0) return Promise.resolve();
    const group = `${keys[0]} ${keys.at(-1)} ${fence?.lockKey} ${fence?.token}`;
    const line = this.#lines.get(group) ?? { waiting: [], isBusy: false };
    this.#lines.set(group, line);
    let last = line.waiting.at(-1);
    if (!last || last.writes.length + writes.length > longestBatch) {
      last = { keys, fence, writes: [], callers: [] };
      line.waiting.push(last);
    }
    last.writes.push(...writes);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    last.callers.push({ resolve, reject });
    if (!line.isBusy) {
      line.isBusy = true;
      void this.#work(group, line);
    }
    return promise;
  }

  async #work(group: string, line: Line): Promise<void> {
    do {
      await turns(turnsToGather);
      const next = line.waiting.shift();
      if (!next) break;
      try {
        await this.#send(next);
      } catch (error) {
        // Without Redis or the lock the attempt ends: waiting writes would fail as well, only later.
        const failed = [next, ...line.waiting.splice(0)].flatMap(({ callers }) => callers);
        for (const caller of failed) caller.reject(asLedgerError(error));
        break;
      }
      for (const caller of next.callers) caller.resolve();
    } while (line.waiting.length > 0);
    this.#lines.delete(group);
  }

  async #send({ keys, fence, writes }: Omit<Waiting, 'callers'>): Promise<void> {
    const allKeys = fence ? [...keys, fence.lockKey] : keys;
    const args = [fence?.token ?? '', ...writes.flat()];
    const answer = await withDeadline(writeScript.run(this.#redis, allKeys, args), this.#timeoutMs);
    if (answer === 2) {
      await this.#unfold(keys);
      return this.#send({ keys, fence, writes });
    }
    if (answer !== 1) throw new DispatchError('lock-lost', 'the lock of the delivery is no longer held by this worker');
  }
}

export function asLedgerError(error: unknown): DispatchError {
  if (error instanceof DispatchError) return error;
  return new DispatchError('ledger-unavailable', 'Redis did not answer for the ledger', { cause: error });
}

/** Resolves after this number of event loop iterations: immediately if nothing else happens. */
async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await setImmediate();
}
