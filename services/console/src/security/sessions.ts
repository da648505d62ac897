import { redisKeys } from '@dicom-dispatch/state/keys';
import { createHash, randomBytes } from 'node:crypto';
import type { ConsoleConfig, Role } from '@dicom-dispatch/core';
import { roles } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import { z } from 'zod';
import type { Identity } from './identity.ts';

const sessionData = z.object({
  name: z.string(),
  role: z.enum(roles),
  by: z.enum(['password', 'oidc']),
  csrf: z.string(),
  createdAt: z.number(),
});

/**
 * Who is signed in, kept in Redis so that several consoles share it and a restart signs nobody out. The key is a hash of
 * the cookie: who can read Redis cannot take a session over.
 */
export class Sessions {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #times: ConsoleConfig['session'];

  constructor(redis: Redis, prefix: string, times: ConsoleConfig['session']) {
    this.#redis = redis;
    this.#prefix = prefix;
    this.#times = times;
  }

  /** @returns the value of the cookie, and the token that has to come back with every change */
  async create(who: {
    name: string;
    role: Role;
    by: 'password' | 'oidc';
  }): Promise<{ readonly id: string; readonly csrf: string }> {
    const id = randomBytes(32).toString('base64url');
    const data = { ...who, csrf: randomBytes(24).toString('base64url'), createdAt: Date.now() };
    await this.#redis.set(this.#key(id), JSON.stringify(data), 'PX', this.#times.idle);
    return { id, csrf: data.csrf };
  }

  /** The identity of a session that still lasts; asking keeps it from ending by idleness. */
  async find(id: string): Promise<Identity | undefined> {
    if (id.length > 100) return undefined;
    const text = await this.#redis.get(this.#key(id));
    if (text === null) return undefined;
    const { createdAt, ...identity } = sessionData.parse(JSON.parse(text));
    const left = createdAt + this.#times.lifetime - Date.now();
    if (left <= 0) {
      await this.end(id);
      return undefined;
    }
    await this.#redis.pexpire(this.#key(id), Math.min(this.#times.idle, left));
    return identity;
  }

  async end(id: string): Promise<void> {
    await this.#redis.del(this.#key(id));
  }

  #key(id: string): string {
    return redisKeys(this.#prefix).session(createHash('sha256').update(id).digest('base64url'));
  }
}
