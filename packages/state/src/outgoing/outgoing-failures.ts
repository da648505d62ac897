import { redisKeys } from '../keys/index.ts';
import { redisNow, type RedisClient } from '../redis/index.ts';

/** A receiver of notifications or of the audit log that could not be reached when it was tried last. */
export interface OutgoingFailure {
  /** By Redis TIME (ms since 1970). */
  readonly since: number;
  /** Without patient data and secrets. */
  readonly message: string;
}

const maxMessage = 200;

/** Receivers of notifications and of the audit log that cannot be reached; shown in health. */
export class OutgoingFailures {
  readonly #redis: RedisClient;
  readonly #prefix: string;
  readonly #key: string;

  constructor(redis: RedisClient, prefix: string) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#key = redisKeys(prefix).outgoingFailures;
  }

  /** Keeps the time of the first of several failures. */
  async failed(receiver: string, message: string): Promise<void> {
    const known = (await this.all()).get(receiver);
    const failure: OutgoingFailure = {
      since: known?.since ?? (await redisNow(this.#redis, this.#prefix)),
      message: message.slice(0, maxMessage),
    };
    await this.#redis.hset(this.#key, receiver, JSON.stringify(failure));
  }

  async succeeded(receiver: string): Promise<void> {
    await this.#redis.hdel(this.#key, receiver);
  }

  /** Removes the failures of receivers that are no longer configured: one that is added again begins anew. */
  async drop(isGone: (receiver: string) => boolean): Promise<void> {
    const gone = (await this.#redis.hkeys(this.#key)).filter((receiver) => isGone(receiver));
    if (gone.length > 0) await this.#redis.hdel(this.#key, ...gone);
  }

  async all(): Promise<ReadonlyMap<string, OutgoingFailure>> {
    const texts = Object.entries(await this.#redis.hgetall(this.#key));
    return new Map(texts.map(([receiver, text]) => [receiver, JSON.parse(text) as OutgoingFailure]));
  }
}
