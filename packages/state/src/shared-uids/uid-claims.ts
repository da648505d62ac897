import { createHash } from 'node:crypto';
import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from 'ioredis';
import { redisKeys } from '../keys/redis-keys.ts';
import { asLedgerError } from '../ledger/write-batch.ts';
import type { Fence } from '../ledger/ledger-types.ts';
import { defineScript } from '../redis/script.ts';

export type ClaimAnswer =
  /** `left`: deliveries whose attempts ended without a release; what they have confirmed is to be looked up. */
  | { readonly kind: 'taken'; readonly left: readonly string[] }
  /** An attempt of another delivery is under way and has one of them. Nothing was claimed. */
  | { readonly kind: 'held'; readonly by: string; readonly sopInstanceUid: string };

/** Claims that nobody has released or overwritten go so long after the last claim at their place. */
const keptMs = 30 * 86_400_000;

/**
 * KEYS: claims, lock. ARGV: prefix, delivery, token, ms, hashes of the UIDs.
 * Answers the index of the UID that is held and by whom, else 0 and the deliveries that left claims behind; -1 when the lock is lost.
 * The lock of another attempt is named by its record; all keys have one hash tag.
 */
const takeScript = defineScript(`
local prefix, me = ARGV[1], ARGV[2]
if redis.call('GET', KEYS[2]) ~= ARGV[3] then return { -1 } end
local left, known = {}, {}
for i = 5, #ARGV do
  local owner = redis.call('HGET', KEYS[1], ARGV[i])
  if owner and owner ~= me and not known[owner] then
    known[owner] = true
    local held = redis.call('HMGET', prefix .. ':delivery:' .. owner, 'state', 'lock', 'token')
    if held[1] == 'active' and held[2] and redis.call('GET', held[2]) == held[3] then return { i - 4, owner } end
    table.insert(left, owner)
  end
end
for i = 5, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], me) end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { 0, unpack(left) }
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
 * Which delivery sends a SOP Instance UID to a place at this moment: claimed before the first byte, all of an attempt or none, and
 * released when what was confirmed can be found in the index. A claim is worth as much as the lock of its delivery's attempt.
 *
 * @throws DispatchError `ledger-unavailable` when Redis fails; `lock-lost` to a worker that has lost its job
 */
export class UidClaims {
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
  }

  /** @param place - where the target is: the same for all targets there */
  async take(place: string, deliveryId: string, uids: ReadonlySet<string>, fence: Fence): Promise<ClaimAnswer> {
    const list = [...uids];
    const [index = 0, ...names] = (await ask(
      takeScript.run(
        this.#redis,
        [redisKeys(this.#prefix).uidClaims(place), fence.lockKey],
        [this.#prefix, deliveryId, fence.token, keptMs, ...list.map(hashOf)],
      ),
    )) as [number, ...string[]];
    if (index < 0) {
      throw new DispatchError('lock-lost', 'the lock of the delivery is no longer held by this worker');
    }
    if (index === 0) return { kind: 'taken', left: names };
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

/** 8 bytes of a hash: two UIDs with one wait for each other without need, which does no harm. */
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
