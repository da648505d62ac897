import type { Redis } from '@dicom-dispatch/runtime';

export interface ClassUse {
  keys: number;
  bytes: number;
}

/** Keys that exist once in a BullMQ queue; every other key of a queue belongs to a job. */
const queueParts = new Set(
  'wait active paused delayed prioritized completed failed waiting-children stalled stalled-check meta id pc limiter marker events repeat de'.split(
    ' ',
  ),
);

/** Classes that grow with the number of deliveries, because they are kept: records, confirmations, completed jobs. */
export const keptClasses: ReadonlySet<string> = new Set([
  'job',
  'job logs',
  'job processed',
  'queue completed',
  'queue failed',
  'queue events',
  'study',
  'study-deliveries',
  'delivery',
  'events',
  'index',
  'ledger',
  'stats',
  'audit',
]);

/** The class of a key, without ids and names. */
export function classOf(key: string, prefix: string): string {
  const parts = key.slice(prefix.length + 1).split(':');
  const [first = '', second = ''] = parts;
  const isQueue = first.startsWith('target-') || first === 'notify' || (first === 'study' && parts.length < 4);
  if (!isQueue) return first;
  if (queueParts.has(second)) return `queue ${second}`;
  // The record of a study has the name of its source before its UID, which has dots.
  if (first === 'study' && parts.length === 3 && (parts[2] ?? '').includes('.')) return 'study';
  return parts.length === 2 ? 'job' : `job ${parts.at(-1)}`;
}

/** Keys and bytes by class, as Redis accounts for them (MEMORY USAGE). */
export async function readClasses(redis: Redis, prefix: string): Promise<Map<string, ClassUse>> {
  const classes = new Map<string, ClassUse>();
  let cursor = '0';
  do {
    const [next, keys] = await redis.scan(cursor, 'COUNT', 1_000);
    cursor = next;
    const pipeline = redis.pipeline();
    for (const key of keys) pipeline.memory('USAGE', key);
    const sizes = (await pipeline.exec()) ?? [];
    for (const [index, key] of keys.entries()) {
      const name = classOf(key, prefix);
      const use = classes.get(name) ?? { keys: 0, bytes: 0 };
      use.keys += 1;
      use.bytes += Number(sizes[index]?.[1] ?? 0);
      classes.set(name, use);
    }
  } while (cursor !== '0');
  return classes;
}
