import { randomUUID } from 'node:crypto';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { redisNow, withDeadline } from '@dicom-dispatch/state/redis';
import { z } from 'zod';
import { ConfigError, oneProblem } from '../config/config-error.ts';
import { redisTitle } from '../config/local-file.ts';
import type { Redis } from '../redis/connect-redis.ts';
import type { ConfigCopy } from './config-copy.ts';
import { configDigest, maxNoteLength, type ChangeNote, type ConfigText, type CurrentConfig } from './current-config.ts';
import {
  readRedisVersion,
  replaceRedisVersion,
  signedText,
  type RedisPlace,
  type RedisVersion,
} from './redis-version.ts';
import type { SealKey } from './seal.ts';

const candidateSeconds = 300;
const answerWithinMs = 3_000;
/** How often a version is restored if other hosts restore theirs at the same time. */
const maxPutBacks = 10;
/** Number of the stored version, even of an unusable one, whose history is kept. */
const lastNumber = z.coerce.number().int().min(0).max(1e9).catch(0);
const candidate = z.object({ text: z.string(), signed: z.string() });

interface Place {
  readonly redis: Redis;
  readonly prefix: string;
  /** Signs written texts, and verifies read ones. */
  readonly key: SealKey;
  /** The last version of this host. If Redis has lost it, it is restored. If omitted, nothing is ever restored. */
  readonly copy?: ConfigCopy | undefined;
  /** An unusable one counts as none: the next commit replaces it. */
  readonly replacesUnusable?: boolean | undefined;
}

/**
 * The configuration of several hosts: in Redis, signed with the key of the installation
 * (docs/decisions/0026-configuration-in-redis.md).
 */
export class RedisConfig implements CurrentConfig {
  readonly kind = 'redis';
  readonly fileName = 'configuration.yaml';
  readonly title = redisTitle;
  readonly #place: Place;

  constructor(place: Place) {
    this.#place = place;
  }

  async isThere(): Promise<boolean> {
    const { redis, prefix, replacesUnusable = false } = this.#place;
    if (replacesUnusable) return (await this.#look()).version !== undefined;
    return (await redis.exists(redisKeys(prefix).configuration)) === 1;
  }

  /** @throws ConfigError if there is none, or it cannot be used */
  async read(): Promise<ConfigText> {
    const head = await this.head();
    if (head) return head;
    throw oneProblem(this.title, 'there is none yet: bring it there with "dispatch config import FILE"');
  }

  /** The current version; undefined if there is none. @throws ConfigError if it cannot be used */
  async head(): Promise<RedisVersion | undefined> {
    const { redis, prefix, copy } = this.#place;
    for (let tries = 0; ; tries += 1) {
      const { place, version: found } = await this.#look();
      const known = await copy?.read();
      // By time, not by number: changes after a loss are newer, even with lower numbers.
      if (!copy || !known || (found && found.at >= known.at)) return found;
      try {
        // If not replaced, another host has restored its version meanwhile, which may be older.
        if (!(await replaceRedisVersion(redis, prefix, place, known)) && tries < maxPutBacks) continue;
        copy.putBack(known, found);
      } catch (error) {
        if ((error as Error).name !== 'ReplyError') throw error;
        copy.notPutBack(known, error);
      }
      return known;
    }
  }

  /** The stored data, for a comparison, and as a version. @throws ConfigError if it cannot be used */
  async #look(): Promise<{ readonly place: RedisPlace; readonly version: RedisVersion | undefined }> {
    const { redis, prefix, key, replacesUnusable = false } = this.#place;
    const fields = await redis.hgetall(redisKeys(prefix).configuration);
    const place = { digest: fields['digest'] ?? '', number: fields['number'] ?? '' };
    if (Object.keys(fields).length === 0) return { place, version: undefined };
    try {
      return { place, version: await readRedisVersion(fields, key, this.title) };
    } catch (error) {
      if (replacesUnusable && error instanceof ConfigError) return { place, version: undefined };
      throw error;
    }
  }

  async offer(id: string, text: string): Promise<void> {
    const { redis, prefix, key } = this.#place;
    const signed = await key.sign(candidateText(id, text));
    const path = redisKeys(prefix).configurationCandidate(id);
    await redis.set(path, JSON.stringify({ text, signed }), 'EX', candidateSeconds);
  }

  /** The text of a candidate. @throws ConfigError when it is not there, or not signed with the key of this host */
  async candidate(id: string): Promise<string> {
    const { redis, prefix, key } = this.#place;
    const text = await redis.get(redisKeys(prefix).configurationCandidate(id));
    const found = text === null ? undefined : candidate.parse(JSON.parse(text));
    const why =
      found === undefined
        ? 'this process has its configuration in Redis, and the change is not there: the console that made it has its configuration in a file'
        : await key.isSigned(candidateText(id, found.text), found.signed).then(
            (isSigned) =>
              isSigned ? '' : `the change is not signed with the key ${key.path}: all hosts need the same key`,
            (error: Error) => error.message,
          );
    if (found && why === '') return found.text;
    throw oneProblem(this.title, why);
  }

  async withdraw(id: string): Promise<void> {
    const { redis, prefix } = this.#place;
    await redis.del(redisKeys(prefix).configurationCandidate(id)).catch(() => {});
  }

  /** @param base - empty: there is none yet */
  async commit(id: string, base: string, { author, reason }: ChangeNote): Promise<boolean> {
    const { redis, prefix, key } = this.#place;
    const text = await this.candidate(id);
    const { place, version: now } = await this.#look();
    if ((now?.digest ?? '') !== base) return false;
    const version = {
      lineage: now?.lineage ?? randomUUID(),
      number: lastNumber.parse(place.number) + 1,
      at: Math.max(await redisNow(redis, prefix), (now?.at ?? 0) + 1),
      author: author.slice(0, maxNoteLength),
      reason: reason.slice(0, maxNoteLength),
      digest: configDigest(text),
      text,
    };
    return replaceRedisVersion(redis, prefix, place, { ...version, signed: await key.sign(signedText(version)) });
  }

  async remember(): Promise<void> {
    // An unavailable Redis is checked again when it responds.
    const { copy } = this.#place;
    const found = await withDeadline(this.#look(), answerWithinMs).catch(() => undefined);
    const known = await copy?.read();
    // Another host has restored an older one: the newer one is restored again, at the next check.
    if (found?.version && !(known && known.at > found.version.at)) await copy?.write(found.version);
  }
}

function candidateText(id: string, text: string): string {
  return JSON.stringify(['candidate', id, configDigest(text)]);
}
