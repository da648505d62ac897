import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '../redis/connect-redis.ts';
import type { ChangeNote, ConfigVersion, ConfigVersionFacts, VersionStore } from './current-config.ts';
import { maxRedisVersions, readRedisVersion, redisVersion, signedText, type RedisVersion } from './redis-version.ts';
import type { SealKey } from './seal.ts';

const signedFacts = redisVersion.omit({ format: true, text: true });
const names = Object.keys(signedFacts.shape);

interface Place {
  readonly redis: Redis;
  readonly prefix: string;
  readonly key: SealKey;
}

/** The versions of the configuration in Redis. Each is written in the same step in which it becomes the configuration. */
export class RedisVersions implements VersionStore {
  readonly title = 'Redis';
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  async list(limit = 100): Promise<ConfigVersionFacts[]> {
    const { redis, prefix, key } = this.#place;
    const keys = redisKeys(prefix);
    const newest = Number((await redis.hget(keys.configuration, 'number')) ?? 0);
    const count = Math.min(limit, maxRedisVersions, newest);
    const lists = await Promise.all(
      Array.from({ length: count }, (_, index) => redis.hmget(keys.configurationVersion(newest - index), ...names)),
    );
    const found: ConfigVersionFacts[] = [];
    for (const values of lists) {
      const fields = Object.fromEntries(names.map((name, index) => [name, values[index]]));
      const { data } = signedFacts.safeParse(fields);
      if (!data || !(await key.isSigned(signedText(data), data.signed))) continue;
      const { lineage: _, signed: __, ...facts } = data;
      found.push(facts);
    }
    return found;
  }

  async read(number: number): Promise<ConfigVersion | undefined> {
    return this.#read(redisKeys(this.#place.prefix).configurationVersion(number));
  }

  async newest(): Promise<ConfigVersion | undefined> {
    return this.#read(redisKeys(this.#place.prefix).configuration);
  }

  /** The current version is already recorded. @throws Error if the text is not that of the current version */
  async add({ text }: ChangeNote & { readonly text: string }): Promise<ConfigVersion> {
    const newest = await this.newest();
    if (newest?.text === text) return newest;
    throw new Error('the configuration in Redis is another one by now');
  }

  /** An invalid version is skipped, like a damaged file. */
  async #read(key: string): Promise<RedisVersion | undefined> {
    const fields = await this.#place.redis.hgetall(key);
    if (Object.keys(fields).length === 0) return undefined;
    return readRedisVersion(fields, this.#place.key, key).catch(() => undefined);
  }
}
