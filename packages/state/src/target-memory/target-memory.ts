import { DispatchError } from '@dicom-dispatch/core';
import { redisKeys } from '../keys/index.ts';
import { withDeadline, type RedisClient } from '../redis/index.ts';

const timeoutMs = 10_000;

/** A few small values that are stored with a target, by name, until they are replaced. No patient data. */
export interface TargetMemory {
  get<T>(key: string): Promise<T | undefined>;
  set(key: string, value: unknown): Promise<void>;
  delete(key: string): Promise<void>;
}

/** Every method throws DispatchError `ledger-unavailable` if Redis fails or does not respond. */
export function createTargetMemory(redis: RedisClient, prefix: string, target: string): TargetMemory {
  const hash = redisKeys(prefix).memory(target);
  return {
    async get<T>(key: string) {
      const text = await ask(redis.hget(hash, key));
      return text === null ? undefined : (JSON.parse(text) as T);
    },
    async set(key, value) {
      await ask(redis.hset(hash, key, JSON.stringify(value)));
    },
    async delete(key) {
      await ask(redis.hdel(hash, key));
    },
  };
}

async function ask<T>(answer: Promise<T>): Promise<T> {
  try {
    return await withDeadline(answer, timeoutMs);
  } catch (cause) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for what is kept with a target', { cause });
  }
}
