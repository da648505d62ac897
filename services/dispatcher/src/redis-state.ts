import { DispatchError } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Fence } from '@dicom-dispatch/state/ledger';
import { defineScript } from '@dicom-dispatch/state/redis';
import type { RunState } from '@dicom-dispatch/target-kit';

const keepMs = 30 * 86_400_000;

/** KEYS: state, lock. ARGV: token, field, value, ms. */
const setScript = defineScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
`);

/** KEYS: state, lock. ARGV: token, field. */
const deleteScript = defineScript(`
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], ARGV[2])
return 1
`);

export function stateKey(prefix: string, deliveryId: string): string {
  return redisKeys(prefix).state(deliveryId);
}

/**
 * State that a handler stores with a delivery across attempts and restarts, in one hash that is removed with the delivery. A
 * worker that has lost its job cannot overwrite what the next one stores: `lock-lost`. For one attempt, the only writer: an
 * empty field is read once.
 */
export function redisState(redis: Redis, prefix: string, deliveryId: string, fence: Fence): RunState {
  const key = stateKey(prefix, deliveryId);
  const keys = [key, fence.lockKey];
  const empty = new Set<string>();
  const written = new Set<string>();
  return {
    async get<T>(field: string) {
      if (empty.has(field)) return undefined;
      const text = await run(() => redis.hget(key, field));
      if (text === null && !written.has(field)) empty.add(field);
      return text === null ? undefined : (JSON.parse(text) as T);
    },
    async set(field, value) {
      written.add(field);
      empty.delete(field);
      const args = [fence.token, field, JSON.stringify(value), keepMs];
      expectLock(await run(() => setScript.run(redis, keys, args)));
    },
    async delete(field) {
      expectLock(await run(() => deleteScript.run(redis, keys, [fence.token, field])));
    },
  };
}

function expectLock(answer: unknown): void {
  if (answer === 1) return;
  throw new DispatchError('lock-lost', 'the lock of the delivery is no longer held by this worker');
}

async function run<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for the state of a delivery', { cause: error });
  }
}
