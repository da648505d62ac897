import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';

/**
 * Listens for cancellations by operators. Messages published during a connection loss are lost: after each reconnect,
 * all running deliveries are checked.
 *
 * @param active - ids of the deliveries that are running here
 */
export async function watchCancellations(
  redis: Redis,
  prefix: string,
  active: ReadonlySet<string>,
  cancelled: (deliveryId: string) => void,
): Promise<{ stop(): Promise<void> }> {
  const keys = redisKeys(prefix);
  const subscriber = redis.duplicate();
  // The original connection reports when Redis is unavailable.
  subscriber.on('error', () => {});
  subscriber.on('message', (_channel, deliveryId: string) => cancelled(deliveryId));
  redis.on('ready', lookUp);
  // While Redis is unavailable this call waits; the dispatcher does not wait for it.
  void subscriber.subscribe(keys.cancelChannel).catch(() => {});
  return {
    async stop() {
      redis.off('ready', lookUp);
      subscriber.disconnect();
    },
  };

  function lookUp(): void {
    const ids = [...active];
    if (ids.length === 0) return;
    redis
      .mget(ids.map((id) => keys.cancelled(id)))
      .then((flags) => ids.forEach((id, at) => flags[at] !== null && cancelled(id)))
      .catch(() => {});
  }
}
