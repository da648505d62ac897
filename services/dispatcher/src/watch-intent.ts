import type { Fence } from '@dicom-dispatch/state/ledger';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { DispatcherContext } from './dispatcher-context.ts';

/** How often an attempt looks whether it is still wanted, and still its own. */
const lookMs = 1_000;

/**
 * Looks through an attempt whether an operator has cancelled it, and whether its lock is still held. The message that an
 * operator's act publishes is quicker; it is lost when the connection was cut at that moment.
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
    // While Redis is away its answers come late, and one is enough.
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
