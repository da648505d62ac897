import { defineScript } from '@dicom-dispatch/state/redis';
import type { Redis } from '@dicom-dispatch/runtime';
import type { Queue } from 'bullmq';

/**
 * State of a job:
 *
 * - `missing`: does not exist
 * - `ready`: the next free worker takes it
 * - `active`: a worker has it, and its lock is held
 * - `stalled`: a worker had it; BullMQ gives it to another one
 * - `delayed`: becomes ready at a time
 * - `waiting-children`: a study task whose deliveries have not all succeeded
 * - `failed`, `completed`: ended
 * - `nowhere`: its data exist, but no list contains it: no worker will ever take it
 */
export type JobState =
  | 'missing'
  | 'ready'
  | 'active'
  | 'stalled'
  | 'delayed'
  | 'waiting-children'
  | 'failed'
  | 'completed'
  | 'nowhere';

export interface JobPlace {
  readonly state: JobState;
  /** When it becomes ready, by the clock of the process that delayed it (ms since 1970); only for `delayed`. */
  readonly delayedUntil?: number;
}

/** KEYS: completed, failed, delayed, prioritized, active, wait, paused, waiting-children. ARGV: base of job keys, ids. */
const script = defineScript(`
local answers = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local state, at = 'nowhere', ''
  local delayed = redis.call('ZSCORE', KEYS[3], id)
  if redis.call('EXISTS', ARGV[1] .. id) == 0 then state = 'missing'
  elseif redis.call('ZSCORE', KEYS[4], id) then state = 'ready'
  elseif delayed then state, at = 'delayed', string.format('%d', math.floor(tonumber(delayed) / 4096))
  elseif redis.call('LPOS', KEYS[5], id) then
    state = redis.call('EXISTS', ARGV[1] .. id .. ':lock') == 1 and 'active' or 'stalled'
  elseif redis.call('ZSCORE', KEYS[1], id) then state = 'completed'
  elseif redis.call('ZSCORE', KEYS[2], id) then state = 'failed'
  elseif redis.call('ZSCORE', KEYS[8], id) then state = 'waiting-children'
  elseif redis.call('LPOS', KEYS[6], id) or redis.call('LPOS', KEYS[7], id) then state = 'ready'
  end
  answers[#answers + 1] = state
  answers[#answers + 1] = at
end
return answers
`);

const lists = [
  'completed',
  'failed',
  'delayed',
  'prioritized',
  'active',
  'wait',
  'paused',
  'waiting-children',
] as const;

/** States of several jobs of a queue at one point in time, in the given order. */
export async function jobPlaces(redis: Redis, queue: Queue, ids: readonly string[]): Promise<JobPlace[]> {
  if (ids.length === 0) return [];
  const keys = lists.map((name) => queue.toKey(name));
  const flat = (await script.run(redis, keys, [queue.toKey(''), ...ids])) as string[];
  return ids.map((_, index) => {
    const at = flat[2 * index + 1] ?? '';
    return { state: flat[2 * index] as JobState, ...(at !== '' && { delayedUntil: Number(at) }) };
  });
}

export async function jobPlace(redis: Redis, queue: Queue, id: string): Promise<JobPlace> {
  return (await jobPlaces(redis, queue, [id]))[0] ?? { state: 'missing' };
}
