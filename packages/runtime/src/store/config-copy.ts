import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { Logger } from '../logging/create-logger.ts';
import { readRedisVersion, redisConfigFormat, redisVersion, type RedisVersion } from './redis-version.ts';
import type { SealKey } from './seal.ts';

const copySchema = z.object({ redis: z.string(), version: redisVersion });

interface CopyPlace {
  /** Folder of the notes (`redis.notesFolder`). */
  readonly folder: string;
  readonly prefix: string;
  /** Address of the Redis: a copy of another one is not used. */
  readonly redis: string;
  readonly key: SealKey;
  readonly log: Logger;
}

/**
 * The last version of the configuration in Redis that this host used, on its disk: it starts with this version while
 * Redis does not respond, and restores it into a Redis that has lost it.
 */
export class ConfigCopy {
  readonly path: string;
  readonly #place: CopyPlace;
  #known: RedisVersion | undefined;
  #isRead = false;

  constructor(place: CopyPlace) {
    this.#place = place;
    this.path = join(place.folder, `configuration-${place.prefix.replaceAll(/[^\w.-]/g, '')}.json`);
  }

  /** Undefined if there is no usable one. */
  async read(): Promise<RedisVersion | undefined> {
    if (this.#isRead) return this.#known;
    this.#known = await this.#ofDisk();
    this.#isRead = true;
    return this.#known;
  }

  async #ofDisk(): Promise<RedisVersion | undefined> {
    try {
      const { redis, version } = copySchema.parse(JSON.parse(await readFile(this.path, 'utf8')));
      return redis === this.#place.redis ? await readRedisVersion(version, this.#place.key, this.path) : undefined;
    } catch {
      return undefined;
    }
  }

  /** @throws the error of the file system; the version in memory counts nevertheless */
  async write(version: RedisVersion): Promise<void> {
    if (this.#known?.signed === version.signed) return;
    this.#known = version;
    this.#isRead = true;
    await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
    const temporary = `${this.path}.${process.pid}.tmp`;
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(
        JSON.stringify({ redis: this.#place.redis, version: { format: redisConfigFormat, ...version } }),
      );
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, this.path);
  }

  /** Logs that a version was restored in Redis. */
  putBack(version: RedisVersion, found: RedisVersion | undefined): void {
    this.#place.log.warn(
      { version: version.number, found: found?.number, of: new Date(version.at).toISOString() },
      'Redis had lost the configuration: the version that this host used last was restored',
    );
  }

  /** Logs that Redis rejected a version: this process uses it nevertheless. */
  notPutBack(version: RedisVersion, error: unknown): void {
    this.#place.log.error(
      { version: version.number, of: new Date(version.at).toISOString(), err: error },
      'Redis has lost the configuration and rejects writes: this process uses the version that this host used last; it is restored when Redis accepts writes and the configuration is read again',
    );
  }
}
