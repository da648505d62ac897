import type { Redis } from '@dicom-dispatch/runtime';

/** Position of each destination in each stream of entries, in Redis: any console continues there. */
export class Cursors {
  readonly #redis: Redis;
  readonly #key: string;

  constructor(redis: Redis, key: string) {
    this.#redis = redis;
    this.#key = key;
  }

  /** The id after which to continue. Entries from before the destination was configured are not sent. */
  async get(destination: string, stream: string): Promise<string> {
    const field = `${destination} ${stream}`;
    const known = await this.#redis.hget(this.#key, field);
    if (known !== null) return known;
    const [newest] = await this.#redis.xrevrange(stream, '+', '-', 'COUNT', 1);
    const start = newest?.[0] ?? '0-0';
    await this.#redis.hsetnx(this.#key, field, start);
    return start;
  }

  /** The same for data that are not in a stream: a time (ms since 1970), initially now. */
  async getTime(destination: string, what: string): Promise<number> {
    const field = `${destination} ${what}`;
    await this.#redis.hsetnx(this.#key, field, Date.now());
    return Number(await this.#redis.hget(this.#key, field));
  }

  async set(destination: string, positions: ReadonlyMap<string, string | number>): Promise<void> {
    const fields = [...positions].flatMap(([stream, position]) => [`${destination} ${stream}`, String(position)]);
    if (fields.length > 0) await this.#redis.hset(this.#key, ...fields);
  }
}
