import { redisKeys } from '@dicom-dispatch/state/keys';
import { DispatchError } from '@dicom-dispatch/core';
import type { Mailbox } from '@dicom-dispatch/target-kit';
import type { Redis } from '@dicom-dispatch/runtime';

const keepMs = 30 * 86_400_000;

/** Messages for any waiting dispatcher: an empty text if one is expected, then the message. */
export function redisMailbox(redis: Redis, prefix: string): Mailbox {
  const keyOf = (name: string): string => redisKeys(prefix).mail(name);
  return {
    async expect(name) {
      await run(() => redis.set(keyOf(name), '', 'PX', keepMs, 'NX'));
    },
    async leave(name, message) {
      return (await run(() => redis.set(keyOf(name), JSON.stringify(message), 'PX', keepMs, 'XX'))) === 'OK';
    },
    async look<T>(name: string) {
      const text = await run(() => redis.get(keyOf(name)));
      return text === null || text === '' ? undefined : (JSON.parse(text) as T);
    },
    async forget(name) {
      await run(() => redis.unlink(keyOf(name)));
    },
  };
}

async function run<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw new DispatchError('ledger-unavailable', 'Redis did not answer for a message between dispatchers', {
      cause: error,
    });
  }
}
