import { Circuits } from '@dicom-dispatch/state/circuit';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { readable } from '@dicom-dispatch/state/records';
import { defineScript } from '@dicom-dispatch/state/redis';
import { wakeDelivery } from '../wake-delivery.ts';
import type { ReconcileContext } from './reconcile-context.ts';

const atOnce = 500;
const maxTasks = 10_000;

/**
 * KEYS: a sorted set by time. ARGV: maximum number of entries. Makes entries in the future due now. Returns their number.
 */
const bringForwardScript = defineScript(`
local time = redis.call('TIME')
local now = string.format('%d', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
local late = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf', 'LIMIT', 0, ARGV[1])
for _, id in ipairs(late) do redis.call('ZADD', KEYS[1], now, id) end
return #late
`);

/**
 * The clock of Redis was set back. Work that was postponed while it was ahead would wait for the same time, and expiring
 * entries would stay: all of it becomes due now, and work that runs too early is postponed again by the current clock.
 */
export async function afterSetBack(context: ReconcileContext): Promise<void> {
  const { redis, records, tasks, queues, log } = context;
  const config = context.config();
  const { prefix } = config.redis;
  const keys = redisKeys(prefix);
  const bySource = Object.keys(config.sources).flatMap((source) => [keys.feedLater(source), keys.waits(source)]);
  for (const key of [keys.index('open'), keys.index('tasks'), keys.index('priors'), ...bySource]) {
    while ((await bringForwardScript.run(redis, [key], [atOnce])) === atOnce);
  }
  const circuits = new Circuits(redis, prefix);
  for (const target of Object.keys(config.targets)) {
    if ((await circuits.state(target)).state !== 'closed') await circuits.abandon(target);
    await circuits.probeNow(target);
  }
  // BullMQ's pauses between starts and between checks for stalled jobs expire.
  for (const queue of [queues.study(), ...Object.keys(config.targets).map((target) => queues.target(target))]) {
    await redis.del(queue.toKey('limiter'), queue.toKey('stalled-check'));
  }
  let woken = 0;
  for await (const ids of records.deliveryIds({ state: 'waiting' })) {
    for (const looked of readable(await records.lookAll(ids))) {
      if (!looked || looked.isHeld || looked.record.nextAttemptAt === undefined) continue;
      if (await wakeDelivery({ ...context, config }, looked.record.deliveryId)) woken += 1;
    }
  }
  for (const { data } of await tasks.overdue(maxTasks)) await tasks.wake(data.studyTaskId);
  await queues.study().promoteJobs();
  log.warn({ woken }, 'the clock of Redis was set back: postponed deliveries continue');
}
