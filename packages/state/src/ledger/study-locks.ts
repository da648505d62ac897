import { redisKeys } from '../keys/redis-keys.ts';
import { DispatchError } from '@dicom-dispatch/core';
import type { RedisClient } from '../redis/redis-client.ts';
import { defineScript } from '../redis/script.ts';
import { withDeadline } from '../redis/with-deadline.ts';
import type { LedgerOptions } from './ledger.ts';
import type { Fence, LedgerKey } from './ledger-types.ts';
import { asLedgerError } from './write-batch.ts';

export type StudyLockAnswer =
  | { readonly kind: 'taken' }
  /** Another delivery has the turn. `isFirstTry`: this one was not among those that wait for its end. */
  | { readonly kind: 'wait'; readonly isFirstTry: boolean };

/**
 * Of several deliveries of one study to one target (instances came late, an operator sent it again) one at a time is
 * under way: each would find the same instances missing in the ledger, and send them twice. A turn is worth as much as
 * the lock of the job that took it: a dead dispatcher's ends with its lock. Every method throws DispatchError
 * `ledger-unavailable` when Redis fails or is silent; `take` throws `lock-lost` to a worker that has lost its job.
 */
export interface StudyLocks {
  take(key: LedgerKey, deliveryId: string, fence: Fence): Promise<StudyLockAnswer>;
  isFree(key: LedgerKey): Promise<boolean>;
  /** Ends the turn, if it is still ours. @returns the deliveries that wait for it */
  end(key: LedgerKey, fence: Fence): Promise<string[]>;
}

/** Who waits is kept for so long, far beyond what a waiting delivery needs until it looks again. */
const keptMs = 7 * 86_400_000;

/**
 * KEYS: turn, waiting, lock. ARGV: delivery, lock, token, ms.
 * Answers 1 taken, 0 waits already, -1 waits from now on, -2 the lock is no longer held.
 * The lock of the other job is named by what it wrote itself; all keys have one hash tag.
 */
const takeScript = defineScript(`
if redis.call('GET', KEYS[3]) ~= ARGV[3] then return -2 end
local held = redis.call('HMGET', KEYS[1], 'lock', 'token')
if held[1] and held[1] ~= ARGV[2] and redis.call('GET', held[1]) == held[2] then
  local added = redis.call('SADD', KEYS[2], ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  return -added
end
redis.call('HSET', KEYS[1], 'lock', ARGV[2], 'token', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SREM', KEYS[2], ARGV[1])
return 1
`);

/** KEYS: turn. Answers 1 when nobody has it. */
const freeScript = defineScript(`
local held = redis.call('HMGET', KEYS[1], 'lock', 'token')
if held[1] and redis.call('GET', held[1]) == held[2] then return 0 end
return 1
`);

/** KEYS: turn, waiting. ARGV: lock, token. Answers who waits, nobody when the turn is another's. */
const endScript = defineScript(`
local held = redis.call('HMGET', KEYS[1], 'lock', 'token')
if held[1] ~= ARGV[1] or held[2] ~= ARGV[2] then return {} end
local waiting = redis.call('SMEMBERS', KEYS[2])
redis.call('DEL', KEYS[1], KEYS[2])
return waiting
`);

export function createStudyLocks(
  redis: RedisClient,
  { prefix, timeoutMs = 10_000 }: LedgerOptions & { readonly prefix: string },
): StudyLocks {
  const keys = ({ source, orthancStudyId, target }: LedgerKey): [string, string] => {
    const base = redisKeys(prefix).studyLock(source, orthancStudyId, target);
    return [base, `${base}:waiting`];
  };
  async function ask<T>(answer: Promise<T>): Promise<T> {
    try {
      return await withDeadline(answer, timeoutMs);
    } catch (error) {
      throw asLedgerError(error);
    }
  }
  return {
    async take(key, deliveryId, { lockKey, token }) {
      const answer = await ask(
        takeScript.run(redis, [...keys(key), lockKey], [deliveryId, lockKey, token, String(keptMs)]),
      );
      if (answer === -2)
        throw new DispatchError('lock-lost', 'the lock of the delivery is no longer held by this worker');
      return answer === 1 ? { kind: 'taken' } : { kind: 'wait', isFirstTry: answer === -1 };
    },
    async isFree(key) {
      return (await ask(freeScript.run(redis, keys(key).slice(0, 1), []))) === 1;
    },
    async end(key, { lockKey, token }) {
      return (await ask(endScript.run(redis, keys(key), [lockKey, token]))) as string[];
    },
  };
}
