/**
 * Keys of what operators and workers tell each other, all under the configured prefix. Who writes:
 *
 * - `cancelled:<delivery>` (operators): the delivery is not wanted any more; dispatchers look before each attempt
 * - channel `cancel` (operators): the id of a delivery whose attempt is to stop at once
 * - `held` (operators, router): ids of deliveries that wait for a release; dispatchers look before each attempt
 * - field `retriedAt` of `delivery:<delivery>` (operators): ms since 1970, from which `giveUpAfter` counts anew
 * - `stats:<target>:<minute>` (dispatchers): counts of one minute since 1970
 * - `worker:<id>` (dispatchers): what a living worker does
 */
export function operationKeys(prefix: string) {
  return {
    cancelled: (deliveryId: string) => `${prefix}:cancelled:${deliveryId}`,
    cancelChannel: `${prefix}:cancel`,
    held: `${prefix}:held`,
    delivery: (deliveryId: string) => `${prefix}:delivery:${deliveryId}`,
    stats: (target: string, minute: number) => `${prefix}:stats:${target}:${minute}`,
    worker: (id: string) => `${prefix}:worker:${id}`,
    workerPattern: `${prefix}:worker:*`,
  };
}
