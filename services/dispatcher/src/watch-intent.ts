import type { Fence } from '@dicom-dispatch/state/ledger';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Interval for checking during an attempt whether it was cancelled, and whether its lock is held. */
const lookMs = 1_000;

/**
 * Checks during an attempt whether an operator has cancelled it, and whether its lock is still held. The message that an
 * operator's act publishes is faster; it is lost if the connection was interrupted at that moment.
 */
export function watchIntent(
  context: Pick<DispatcherContext, 'redis' | 'config'>,
  deliveryId: string,
  { lockKey, token }: Fence,
  stop: (reason: 'cancelled' | 'lock-lost') => void,
): () => void {
  const { redis } = context;
  const cancelled = redisKeys(context.config.redis.prefix).cancelled(deliveryId);
  let isAsking = false;
  const timer = setInterval(() => {
    // While Redis is unavailable its responses are late, and one request is sufficient.
    if (isAsking || redis.status !== 'ready') return;
    isAsking = true;
    redis
      .mget(cancelled, lockKey)
      .then(([isCancelled, holder]) => {
        if (holder !== token) stop('lock-lost');
        else if (isCancelled !== null) stop('cancelled');
      })
      .catch(() => {})
      .finally(() => (isAsking = false));
  }, lookMs);
  timer.unref();
  return () => clearInterval(timer);
}
