import { createHash } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { asLedgerError } from '../ledger/write-batch.ts';
import type { Fence } from '../ledger/ledger-types.ts';
import { defineScript } from '../redis/script.ts';

export type ClaimAnswer =
  | { readonly kind: 'taken' }
  /**
   * Deliveries whose attempts ended without a release: add their confirmed instances to the index, then pass them as
   * `passedOver`. Nothing was claimed.
   */
  | { readonly kind: 'left'; readonly by: readonly string[] }
  /** A running attempt of another delivery has one of them. Nothing was claimed. */
  | { readonly kind: 'held'; readonly by: string; readonly sopInstanceUid: string };

/** Claims that are neither released nor overwritten are removed this long after the last claim at their address. */
const keptMs = 30 * 86_400_000;

/**
 * KEYS: claims, lock. ARGV: prefix, delivery, token, ms, the number of deliveries that are passed over, these, hashes of the
 * UIDs.
 * Returns the index of a claimed UID and its owner; 0 if all are claimed now; -1 if the lock is lost; -2 and the
 * deliveries that left claims behind and are not passed over. The lock of another attempt is named in its record; all
 * keys have one hash tag.
 */
const takeScript = defineScript(`
local prefix, me = ARGV[1], ARGV[2]
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return { -1 } end
local first = 6 + tonumber(ARGV[5])
local left, known, passed = {}, {}, {}
for i = 6, first - 1 do passed[ARGV[i]] = true end
for i = first, #ARGV do
  local owner = redis.call('HGET', KEYS[1], ARGV[i])
  if owner and owner ~= me and not known[owner] then
    known[owner] = true
    local held = redis.call('HMGET', prefix .. ':delivery:' .. owner, 'state', 'lock', 'token')
    if held[1] == 'active' and held[2] and redis.call('GET', held[2]) == held[3] then return { i - first + 1, owner } end
    if not passed[owner] then table.insert(left, owner) end
  end
end
if #left > 0 then return { -2, unpack(left) } end
for i = first, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], me) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { 0 }
`);

/** KEYS: claims, lock. ARGV: delivery, token, hashes of the UIDs. */
const releaseScript = defineScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
for i = 3, #ARGV do
  if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[1] then redis.call('HDEL', KEYS[1], ARGV[i]) end
end
return 1
`);

/**
 * Which delivery sends a SOP Instance UID to an address now: claimed before the first byte, all UIDs of an attempt or
 * none, and released when the confirmed instances are in the index. A claim is valid as long as the lock of its
 * delivery's attempt.
 *
 * @throws DispatchError `ledger-unavailable` if Redis fails; `lock-lost` if the worker has lost its job
 */
export class UidClaims {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /**
   * @param place - address of the target: the same for all targets there
   * @param passedOver - deliveries of an earlier result `left`, which lose their claims
   */
  async take(
    place: string,
    deliveryId: string,
    uids: ReadonlySet<string>,
    fence: Fence,
    passedOver: readonly string[] = [],
  ): Promise<ClaimAnswer> {
    const list = [...uids];
    const [index = 0, ...names] = (await ask(
      takeScript.run(
        this.#redis,
        [redisKeys(this.#prefix).uidClaims(place), fence.lockKey],
        [this.#prefix, deliveryId, fence.token, keptMs, passedOver.length, ...passedOver, ...list.map(hashOf)],
      ),
    )) as [number, ...string[]];
    if (index === -2) return { kind: 'left', by: names };
    if (index < 0) {
      throw new DispatchError('lock-lost', 'the lock of the delivery is no longer held by this worker');
    }
    if (index === 0) return { kind: 'taken' };
    return { kind: 'held', by: names[0] ?? '', sopInstanceUid: list[index - 1] ?? '' };
  }

  async release(place: string, deliveryId: string, uids: ReadonlySet<string>, fence: Fence): Promise<void> {
    await ask(
      releaseScript.run(
        this.#redis,
        [redisKeys(this.#prefix).uidClaims(place), fence.lockKey],
        [deliveryId, fence.token, ...Array.from(uids, hashOf)],
      ),
    );
  }
}

/** 8 bytes of a hash: deliveries of two UIDs with the same hash wait for each other needlessly, which does no harm. */
function hashOf(uid: string): Buffer {
  return createHash('sha256').update(uid).digest().subarray(0, 8);
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw asLedgerError(error);
  }
}
