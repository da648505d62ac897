import { DispatchError } from '@dicom-dispatch/core';
import { redisKeys } from '../keys/index.ts';
import { defineScript, withDeadline, type RedisClient } from '../redis/index.ts';
import { decodeEntry } from './entry-text.ts';
import { decodeReceipt, encodeReceipt } from './receipt-codec.ts';
import type { ReceiptEntry } from './receipt-types.ts';

/** Location of packed receipts: Redis, or a folder. */
export interface ReceiptStore {
  read(deliveryId: string): Promise<Buffer | undefined>;
  /** @returns false if another process has written meanwhile: then nothing has changed. A folder does not check this */
  exchange(deliveryId: string, before: Buffer | undefined, packed: Buffer): Promise<boolean>;
}

const timeoutMs = 10_000;
/** Attempts, if several processes pack one receipt at the same time. */
const maxTries = 5;

/**
 * Removes packed details, unless they have changed since.
 * KEYS: details of a running delivery. ARGV: field and value of each.
 */
const dropScript = defineScript(`
for i = 1, #ARGV, 2 do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
`);

/** KEYS: receipt. ARGV: the value that was read, or ''; the new value; ms to keep it, 0 forever. */
const exchangeScript = defineScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1
`);

/** Fields in one call. */
const atOnce = 500;

/**
 * Responses of the targets for each instance. The ledger writes the details of a running delivery together with its
 * confirmations (`Confirmation.receipt`); at the end of an attempt they are packed into one value.
 */
export class Receipts {
  readonly #redis: RedisClient;
  readonly #prefix: string;
  readonly #store: ReceiptStore;

  constructor(redis: RedisClient, prefix: string, store: ReceiptStore) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#store = store;
  }

  /** The details of the instances of a delivery, in the order of their confirmation. */
  async read(deliveryId: string): Promise<ReceiptEntry[]> {
    const [packed, open] = await Promise.all([this.#store.read(deliveryId), this.#readOpen(deliveryId)]);
    return merge(
      packed ? await decodeReceipt(packed) : [],
      open.flatMap(([, text]) => decodeEntry(text) ?? []),
    );
  }

  /**
   * Packs the details that a delivery has confirmed so far. In Redis, two processes may do it at the same time; with
   * receipts in a folder, the caller must hold the job lock.
   */
  async pack(deliveryId: string): Promise<void> {
    for (let tries = 0; tries < maxTries; tries += 1) {
      const open = await this.#readOpen(deliveryId);
      if (open.length === 0) return;
      const before = await this.#store.read(deliveryId);
      const entries = open.flatMap(([, text]) => decodeEntry(text) ?? []);
      const packed = await encodeReceipt(merge(before ? await decodeReceipt(before) : [], entries));
      if (await this.#store.exchange(deliveryId, before, packed)) return this.#drop(deliveryId, open);
    }
  }

  async #drop(deliveryId: string, open: readonly (readonly [string, string])[]): Promise<void> {
    const key = redisKeys(this.#prefix).receiptOpen(deliveryId);
    for (let at = 0; at < open.length; at += atOnce) {
      await ask(dropScript.run(this.#redis, [key], open.slice(at, at + atOnce).flat()));
    }
  }

  async #readOpen(deliveryId: string): Promise<[string, string][]> {
    return Object.entries(await ask(this.#redis.hgetall(redisKeys(this.#prefix).receiptOpen(deliveryId))));
  }
}

/** Receipts in Redis, each kept for this time after it was written. @param keepMs - `forever` keeps it with its delivery */
export function receiptsInRedis(redis: RedisClient, prefix: string, keepMs: number | 'forever'): ReceiptStore {
  const key = (deliveryId: string): string => redisKeys(prefix).receipt(deliveryId);
  return {
    async read(deliveryId) {
      return (await ask(redis.getBuffer(key(deliveryId)))) ?? undefined;
    },
    async exchange(deliveryId, before, packed) {
      const args = [before ?? '', packed, keepMs === 'forever' ? 0 : keepMs];
      return (await ask(exchangeScript.run(redis, [key(deliveryId)], args))) === 1;
    },
  };
}

/** Each confirmation once; the same instance may have been confirmed several times. */
function merge(earlier: readonly ReceiptEntry[], later: readonly ReceiptEntry[]): ReceiptEntry[] {
  const byName = new Map<string, ReceiptEntry>();
  for (const one of [...earlier, ...later]) {
    byName.set(`${one.seriesInstanceUid} ${one.sopInstanceUid} ${one.at}`, one);
  }
  return [...byName.values()].sort((one, other) => one.at - other.at);
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await withDeadline(answer, timeoutMs);
  } catch (cause) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for a receipt', { cause });
  }
}
