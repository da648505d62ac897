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
  /** Another delivery has the lock. `isFirstTry`: this one was not yet among those that wait for it. */
  | { readonly kind: 'wait'; readonly isFirstTry: boolean };

/**
 * Of several deliveries of one study to one target (late instances, a delivery sent again by an operator) only one runs at a
 * time: each would find the same instances missing in the ledger, and send them twice. A study lock is valid as long as
 * the lock of the job that took it: it ends with the lock of a crashed dispatcher. Every method throws DispatchError
 * `ledger-unavailable` if Redis fails or does not respond; `take` throws `lock-lost` if the worker has lost its job.
 */
export interface StudyLocks {
  take(key: LedgerKey, deliveryId: string, fence: Fence): Promise<StudyLockAnswer>;
  isFree(key: LedgerKey): Promise<boolean>;
  /** Releases the lock, if this delivery still has it. @returns the deliveries that wait for it */
  end(key: LedgerKey, fence: Fence): Promise<string[]>;
}

/** Waiting deliveries are stored for this time, far longer than the interval of their checks. */
const keptMs = 7 * 86_400_000;

/**
 * KEYS: study lock, waiting, job lock. ARGV: delivery, key of the job lock, its token, ms.
 * Returns 1 acquired, 0 already waiting, -1 waiting from now on, -2 the job lock is no longer held.
 * The lock of the other job is named in the value that it wrote; all keys have one hash tag.
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

/** KEYS: study lock. Returns 1 if it is free. */
const freeScript = defineScript(`
local held = redis.call('HMGET', KEYS[1], 'lock', 'token')
if held[1] and redis.call('GET', held[1]) == held[2] then return 0 end
return 1
`);

/**
 * KEYS: study lock, waiting. ARGV: key of the job lock, its token. Returns the waiting deliveries; none if another
 * delivery has the study lock.
 */
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
