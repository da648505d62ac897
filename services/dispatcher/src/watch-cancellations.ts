import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';

/** Listens for deliveries that an operator cancels: their ids on `<prefix>:cancel`. */
export async function watchCancellations(
  redis: Redis,
  prefix: string,
  cancelled: (deliveryId: string) => void,
): Promise<{ stop(): Promise<void> }> {
  const subscriber = redis.duplicate();
  // The connection that it was made from tells when Redis is away.
  subscriber.on('error', () => {});
  subscriber.on('message', (_channel, deliveryId: string) => cancelled(deliveryId));
  // While Redis is away this waits; the dispatcher need not.
  void subscriber.subscribe(redisKeys(prefix).cancelChannel).catch(() => {});
  return {
    async stop() {
      subscriber.disconnect();
    },
  };
}
