import { createHash } from 'node:crypto';
import type { Redis } from '@dicom-dispatch/runtime';
import { queueOptions } from '@dicom-dispatch/runtime';
import { Queue } from 'bullmq';
import { z } from 'zod';
import { notification, type Notification } from './notification.ts';

export const notifyQueue = 'notify';
/** Data of a job: the receiver, and the key of the notifications. */
export const notifyJob = z.object({ receiver: z.string(), bundle: z.string() });

/** Retried for eleven hours, with doubled waits: a mail server may be down for a night. */
const attempts = 14;
const firstRetryMs = 5_000;
const maxBuffered = 10_000;

/** How long ids of gathered events are kept; a check detects events of the preceding minute again. */
const notifiedForMs = 600_000;
/** How long notifications of a bundle are kept: longer than a failed job. */
const takenForMs = 8 * 86_400_000;

/**
 * KEYS: collected notifications, number of the bundle, ids of gathered events. ARGV: maximum length of the list, now, receiver,
 * then id and notification of each event. Collects new events, and returns the number of the waiting bundle, 0 if there is none.
 */
const gatherScript = `
for i = 4, #ARGV, 2 do
  if redis.call('ZADD', KEYS[3], 'NX', ARGV[2], ARGV[3] .. ' ' .. ARGV[i]) == 1 then
    if redis.call('LLEN', KEYS[1]) == 0 then redis.call('INCR', KEYS[2]) end
    redis.call('RPUSH', KEYS[1], ARGV[i + 1])
  end
end
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[1]), -1)
if redis.call('LLEN', KEYS[1]) == 0 then return 0 end
return tonumber(redis.call('GET', KEYS[2]))
`;

/** Pending notifications in Redis: collected for each receiver until their bundle is due. */
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

  /**
   * Adds notifications for a receiver, each event once; the first of a bundle determines its due time. The call may be repeated
   * after a crash.
   */
  async gather(receiver: string, notifications: readonly Notification[], digestMs: number): Promise<void> {
    if (notifications.length === 0) return;
    if (digestMs === 0) return this.#tellEach(receiver, notifications);
    const bundle = (await this.#redis.eval(
      gatherScript,
      3,
      `${this.#prefix}:gathered:${receiver}`,
      `${this.#prefix}:number:${receiver}`,
      this.#notifiedKey,
      maxBuffered,
      Date.now(),
      receiver,
      ...notifications.flatMap((one) => [one.id, JSON.stringify(one)]),
    )) as number;
    if (bundle !== 0) await this.#add(receiver, String(bundle), digestMs);
  }

  /** Removes ids of old events. Call this after a check, which cannot detect events of that age again. */
  async forgetNotified(): Promise<void> {
    await this.#redis.zremrangebyscore(this.#notifiedKey, '-inf', Date.now() - notifiedForMs);
  }

  /** Without a digest, each notification is a separate bundle, which is due immediately. */
  async #tellEach(receiver: string, notifications: readonly Notification[]): Promise<void> {
    const members = notifications.map(({ id }) => `${receiver} ${id}`);
    const notified = await this.#redis.zmscore(this.#notifiedKey, ...members);
    for (const [index, one] of notifications.entries()) {
      if (notified[index] !== null) continue;
      const taken = this.#taken(receiver, one.id);
      await this.#redis.multi().del(taken).rpush(taken, JSON.stringify(one)).pexpire(taken, takenForMs).exec();
      await this.#add(receiver, one.id, 0);
      await this.#redis.zadd(this.#notifiedKey, Date.now(), members[index]!);
    }
  }

  async #add(receiver: string, bundle: string, delayMs: number): Promise<void> {
    await this.queue.add(
      'notify',
      { receiver, bundle },
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

  /** Notifications of a bundle. They are kept until {@link done}, so that the next attempt finds them again. */
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

  get #notifiedKey(): string {
    return `${this.#prefix}:told`;
  }

  #taken(receiver: string, bundle: string): string {
    return `${this.#prefix}:taken:${receiver}:${bundle}`;
  }
}
