import { createHash, createHmac, randomBytes } from 'node:crypto';
import { roles, type ConsoleConfig } from '@dicom-dispatch/core';
import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys, type RedisKeys } from '@dicom-dispatch/state/keys';
import { z } from 'zod';
import { roleOf } from './oidc-role.ts';
import type { Identity } from './identity.ts';

const sessionData = z.object({
  name: z.string(),
  by: z.enum(['password', 'oidc']),
  csrf: z.string(),
  createdAt: z.number(),
  /** Keyed hash of the credential of the sign-in; a session without it (of an older version) is invalid. */
  proof: z.string(),
  /** Values of the role claim that give a role, for users of OpenID Connect. */
  values: z.array(z.string()).default([]),
});
type SessionData = z.infer<typeof sessionData>;

/** A user who has just signed in. */
export type Proved =
  | { readonly name: string; readonly by: 'password' }
  | { readonly name: string; readonly by: 'oidc'; readonly values: readonly string[] };

/**
 * Sessions in Redis, which several consoles share, and which survive a restart. The key is a hash of the cookie: read access to
 * Redis does not allow taking over a session. Permissions are not stored: each request checks the current configuration, so that
 * a changed password, another role or a removal applies immediately.
 */
export class Sessions {
  readonly #redis: Redis;
  readonly #keys: RedisKeys;
  readonly #console: () => ConsoleConfig;

  constructor(redis: Redis, prefix: string, console: () => ConsoleConfig) {
    this.#redis = redis;
    this.#keys = redisKeys(prefix);
    this.#console = console;
  }

  /** Channel for ended sessions: the key of one, or `*` for several. */
  get channel(): string {
    return this.#keys.sessionsEnded;
  }

  /** @returns the value of the cookie, and the token that must be sent back with every change */
  async create(who: Proved): Promise<{ readonly id: string; readonly csrf: string }> {
    const id = randomBytes(32).toString('base64url');
    const data: SessionData = {
      name: who.name,
      by: who.by,
      csrf: randomBytes(24).toString('base64url'),
      createdAt: Date.now(),
      proof: this.#proof(id, who) ?? '',
      values: who.by === 'oidc' ? [...who.values] : [],
    };
    await this.#redis.set(this.#key(id), JSON.stringify(data), 'PX', this.#console().session.idle);
    return { id, csrf: data.csrf };
  }

  /**
   * The identity of a valid session, according to the current configuration.
   *
   * @param use - `touch`: extends the idle time; `look`: does not
   */
  async find(id: string, use: 'touch' | 'look' = 'touch'): Promise<Identity | undefined> {
    if (!/^[\w-]{20,100}$/.test(id)) return undefined;
    const key = this.#key(id);
    const text = await this.#redis.get(key);
    if (text === null) return undefined;
    const parsed = sessionData.safeParse(JSON.parse(text));
    const identity = parsed.success ? await this.#judge(id, parsed.data) : undefined;
    if (!parsed.success || !identity) {
      await this.end(id);
      return undefined;
    }
    const { idle, lifetime } = this.#console().session;
    const left = parsed.data.createdAt + lifetime - Date.now();
    if (use === 'touch') await this.#redis.pexpire(key, Math.min(idle, left));
    return identity;
  }

  async end(id: string): Promise<void> {
    const key = this.#key(id);
    if ((await this.#redis.del(key)) > 0) await this.#redis.publish(this.channel, key);
  }

  /** Ends all sessions of a user. */
  async endAllOf(name: string): Promise<void> {
    await this.#redis
      .multi()
      .hset(this.#endedKey, name, Date.now())
      .pexpire(this.#endedKey, this.#console().session.lifetime)
      .exec();
    await this.#redis.publish(this.channel, '*');
  }

  async #judge(id: string, data: SessionData): Promise<Identity | undefined> {
    const { name, by, csrf, createdAt, proof, values } = data;
    const { session, users, oidc } = this.#console();
    if (createdAt + session.lifetime <= Date.now()) return undefined;
    if (createdAt <= Number((await this.#redis.hget(this.#endedKey, name)) ?? 0)) return undefined;
    const now = this.#proof(id, by === 'password' ? { name, by } : { name, by, values });
    if (now === undefined || now !== proof) return undefined;
    const role = by === 'password' ? ownUser(users, name)?.role : oidc && roleOf(oidc, values);
    return role && roles.includes(role) ? { name, role, by, csrf, session: this.#key(id) } : undefined;
  }

  /** A hash that changes with the password, or with the provider. It is keyed with the cookie, which is not in Redis. */
  #proof(id: string, who: Proved): string | undefined {
    const { users, oidc } = this.#console();
    const rests =
      who.by === 'password'
        ? ownUser(users, who.name)?.password.reveal()
        : oidc && JSON.stringify([oidc.issuer, oidc.clientId]);
    return rests === undefined ? undefined : createHmac('sha256', id).update(`${who.by}\n${rests}`).digest('base64url');
  }

  get #endedKey(): string {
    return this.#keys.sessionsEndedBefore;
  }

  #key(id: string): string {
    return this.#keys.session(createHash('sha256').update(id).digest('base64url'));
  }
}

function ownUser(users: ConsoleConfig['users'], name: string) {
  return users && Object.hasOwn(users, name) ? users[name] : undefined;
}
