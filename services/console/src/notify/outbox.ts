import { createHash } from 'node:crypto';
import type { Redis } from '@dicom-dispatch/runtime';
import { queueOptions } from '@dicom-dispatch/runtime';
import { Queue } from 'bullmq';
import { z } from 'zod';
import { notification, type Notification } from './notification.ts';

export const notifyQueue = 'notify';
/** Data of a job: whose turn it is, and the key under which what is to be told was put. */
export const notifyJob = z.object({ receiver: z.string(), bundle: z.string() });

const attempts = 12;
const firstRetryMs = 5_000;
const mostBuffered = 10_000;

/**
 * KEYS: what is gathered, number of the bundle. ARGV: longest list, then the notifications.
 * Gathers, and gives the number of the bundle they belong to and whether they are its first.
 */
const gatherScript = `
local first = redis.call('LLEN', KEYS[1]) == 0 and 1 or 0
if first == 1 then redis.call('INCR', KEYS[2]) end
for i = 2, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[1]), -1)
return {tonumber(redis.call('GET', KEYS[2])), first}
`;

/** What waits to be told, kept in Redis: gathered for each receiver until its bundle is due. */
export class Outbox {
  readonly queue: Queue;
  readonly #redis: Redis;
  readonly #prefix: string;

  constructor(redis: Redis, prefix: string) {
    this.#redis = redis;
    this.#prefix = `${prefix}:notify`;
    this.queue = new Queue(notifyQueue, queueOptions(redis, prefix));
    this.queue.on('error', () => {});
  }

  /** Adds to what a receiver is told next; the first of a bundle decides when it is due. */
  async gather(receiver: string, notifications: readonly Notification[], digestMs: number): Promise<void> {
    if (notifications.length === 0) return;
    if (digestMs === 0) return this.#tellEach(receiver, notifications);
    const [bundle] = (await this.#redis.eval(
      gatherScript,
      2,
      `${this.#prefix}:gathered:${receiver}`,
      `${this.#prefix}:number:${receiver}`,
      mostBuffered,
      ...notifications.map((one) => JSON.stringify(one)),
    )) as [number, number];
    // Adding the same job again changes nothing: a console that died in between does no harm.
    await this.#add(receiver, bundle, digestMs);
  }

  /** Without a digest each is a bundle of its own, taken already. */
  async #tellEach(receiver: string, notifications: readonly Notification[]): Promise<void> {
    for (const one of notifications) {
      const bundle = await this.#redis.incr(`${this.#prefix}:number:${receiver}`);
      await this.#redis.rpush(this.#taken(receiver, String(bundle)), JSON.stringify(one));
      await this.#add(receiver, bundle, 0);
    }
  }

  async #add(receiver: string, bundle: number, delayMs: number): Promise<void> {
    await this.queue.add(
      'notify',
      { receiver, bundle: String(bundle) },
      {
        jobId: createHash('sha256').update(`${receiver} ${bundle}`).digest('hex').slice(0, 20),
        delay: delayMs,
        attempts,
        backoff: { type: 'exponential', delay: firstRetryMs },
        removeOnComplete: { age: 86_400, count: 1000 },
        removeOnFail: { age: 7 * 86_400, count: 1000 },
      },
    );
  }

  /** What belongs to a bundle. It stays until {@link done}, so that the next try finds it again. */
  async take(receiver: string, bundle: string): Promise<Notification[]> {
    const taken = this.#taken(receiver, bundle);
    if ((await this.#redis.exists(taken)) === 0) {
      const isThere = await this.#redis.exists(`${this.#prefix}:gathered:${receiver}`);
      if (isThere === 1) await this.#redis.rename(`${this.#prefix}:gathered:${receiver}`, taken);
    }
    const texts = await this.#redis.lrange(taken, 0, -1);
    return texts.map((text) => notification.parse(JSON.parse(text)));
  }

  async done(receiver: string, bundle: string): Promise<void> {
    await this.#redis.del(this.#taken(receiver, bundle));
  }

  async close(): Promise<void> {
    await this.queue.close();
  }

  #taken(receiver: string, bundle: string): string {
    return `${this.#prefix}:taken:${receiver}:${bundle}`;
  }
}
