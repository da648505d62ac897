import type { Redis } from '@dicom-dispatch/runtime';
import type { operationKeys } from './keys.ts';

/**
 * KEYS: delivery, held. ARGV: delivery. Only once: after a release the delivery is not held again, however often its study
 * is routed.
 */
const script = `
if redis.call('HSETNX', KEYS[1], 'heldFromStart', 1) == 0 then return 0 end
redis.call('SADD', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'held', '1', 'wake', 'person')
return 1
`;

/** Holds a new delivery if its rule requires it, before its job is in the queue. */
export async function holdFromStart(
  redis: Redis,
  keys: ReturnType<typeof operationKeys>,
  deliveryId: string,
): Promise<void> {
  await redis.eval(script, 2, keys.delivery(deliveryId), keys.held, deliveryId);
}
