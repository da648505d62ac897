import { redisKeys } from '@dicom-dispatch/state/keys';
import { DispatchError } from '@dicom-dispatch/core';
import type { RunState } from '@dicom-dispatch/target-kit';
import type { Redis } from '@dicom-dispatch/runtime';

const keepMs = 30 * 86_400_000;

export function stateKey(prefix: string, deliveryId: string): string {
  return redisKeys(prefix).state(deliveryId);
}

/**
 * State that a handler stores with a delivery across attempts and restarts, in one hash that is removed with the delivery.
 */
export function redisState(redis: Redis, prefix: string, deliveryId: string): RunState {
  const key = stateKey(prefix, deliveryId);
  return {
    async get<T>(field: string) {
      const text = await run(() => redis.hget(key, field));
      return text === null ? undefined : (JSON.parse(text) as T);
    },
    async set(field, value) {
      await run(() => redis.multi().hset(key, field, JSON.stringify(value)).pexpire(key, keepMs).exec());
    },
    async delete(field) {
      await run(() => redis.hdel(key, field));
    },
  };
}

async function run<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for the state of a delivery', { cause: error });
  }
}
