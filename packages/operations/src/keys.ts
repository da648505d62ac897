/**
 * Keys of what operators and workers tell each other, all under the configured prefix. Who writes:
 *
 * - `cancelled:<delivery>` (operators): the delivery is not wanted any more; dispatchers look before each attempt
 * - channel `cancel` (operators): the id of a delivery whose attempt is to stop at once
 * - `held` (operators, router): ids of deliveries that wait for a release; dispatchers look before each attempt
 * - field `retriedAt` of `delivery:<delivery>` (operators): ms since 1970, from which `giveUpAfter` counts anew
 * - `stats:<target>:<minute>` (dispatchers): counts of one minute since 1970
 * - `workers`, `worker:<id>` (dispatchers): which workers beat when, and what a living one does
 * - `feed:<source>`, `lease:<source>`, `sweep:<source>`, `feed-later:<source>` (router): how far a source is followed
 */
export function operationKeys(prefix: string) {
  return {
    cancelled: (deliveryId: string) => `${prefix}:cancelled:${deliveryId}`,
    cancelChannel: `${prefix}:cancel`,
    held: `${prefix}:held`,
    delivery: (deliveryId: string) => `${prefix}:delivery:${deliveryId}`,
    stats: (target: string, minute: number) => `${prefix}:stats:${target}:${minute}`,
    worker: (id: string) => `${prefix}:worker:${id}`,
    workers: `${prefix}:workers`,
    feed: (source: string) => `${prefix}:feed:${source}`,
    lease: (source: string) => `${prefix}:lease:${source}`,
    sweep: (source: string) => `${prefix}:sweep:${source}`,
    feedLater: (source: string) => `${prefix}:feed-later:${source}`,
  };
}
