import type { ChainableCommander, Redis } from 'ioredis';
import { redisKeys } from './redis-keys.ts';
import { withoutLock, type StepContext } from './step-context.ts';

/** Records in one call. */
const atOnce = 500;
/** In each note of a previous version on a UID that is shared by several instances. */
const words = 'only one of';

/** A possible loss at a target was only recorded in the text of a note: it becomes a field (format 4). */
export async function markPossibleLosses(
  redis: Redis,
  prefix: string,
  context: StepContext = withoutLock,
): Promise<void> {
  const keys = redisKeys(prefix);
  const states = [
    'waiting',
    'active',
    'delivered',
    'partial',
    'failed',
    'source-gone',
    'cancelled',
    'moved',
    'resolved',
  ];
  for (const state of states) {
    let cursor = '0';
    do {
      const [next, flat] = await redis.zscan(keys.index(`state:${state}`), cursor, 'COUNT', atOnce);
      const ids = flat.filter((_, at) => at % 2 === 0);
      const reading = redis.pipeline();
      for (const id of ids) reading.hget(keys.delivery(id), 'notice');
      const notices = await resultsOf(reading);
      const marking = redis.pipeline();
      for (const [index, id] of ids.entries()) {
        const notice = notices[index];
        if (typeof notice === 'string' && notice.includes(words)) marking.hset(keys.delivery(id), 'mayBeLost', 'true');
      }
      await resultsOf(marking);
      await context.renew();
      cursor = next;
    } while (cursor !== '0');
  }
}

/** @throws the first error of a command: a pipeline has no errors otherwise, e.g. if Redis is out of memory */
async function resultsOf(pipeline: ChainableCommander): Promise<unknown[]> {
  const results = (await pipeline.exec()) ?? [];
  return results.map(([error, result]) => {
    if (error) throw error;
    return result;
  });
}
