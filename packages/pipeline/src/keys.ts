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
 * - `choices:<source> <study>` (router, dispatchers): the member that each group has chosen for a study
 * - `turn:<group>` (router): counts the choices of a group that goes round
 * - `waits:<source>`, `waits-since:<source> <study>` (router): studies that are not whole yet: when to look again, and
 *   since when each rule waits
 * - `left:<source>` (router): studies that are old enough to be forgotten, and since when the source lacks them
 * - `forgetting:<source>` (router): how far the router has looked for such studies
 * - `targets` (router, operators): every target that has ever got a delivery, to find the queues of those removed since
 * - channel `reload`, `reload:*`, `reloads`: see `packages/runtime/src/reload/reload-messages.ts`
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
    choices: (source: string, study: string) => `${prefix}:choices:${source} ${study}`,
    turn: (group: string) => `${prefix}:turn:${group}`,
    waits: (source: string) => `${prefix}:waits:${source}`,
    waitsSince: (source: string, orthancStudyId: string) => `${prefix}:waits-since:${source} ${orthancStudyId}`,
    left: (source: string) => `${prefix}:left:${source}`,
    forgetting: (source: string) => `${prefix}:forgetting:${source}`,
    targets: `${prefix}:targets`,
    feedLater: (source: string) => `${prefix}:feed-later:${source}`,
  };
}
