import { createHash, createHmac, randomBytes } from 'node:crypto';
import type { ConsoleConfig } from '@dicom-dispatch/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { ConsoleKeys } from './console-keys.ts';

const lifetimeMs = 180 * 86_400_000;
const prefix = 'dispatch-device-';
const maxCookies = 5;
const maxCookieLength = 400;
const sealed = z.object({ id: z.string(), name: z.string(), proof: z.string() });

/** A browser in which a user has signed in before. */
export interface KnownDevice {
  readonly id: string;
  readonly name: string;
}

/**
 * Marks browsers that have signed in: failed attempts of others with the same name do not lock them out, and requests of others do
 * not slow them down. The cookie is encrypted, bound to the name and the password of the user, and does not sign in.
 */
export class KnownDevices {
  readonly #keys: ConsoleKeys;
  readonly #console: () => Pick<ConsoleConfig, 'users'>;
  readonly #isSecure: boolean;

  constructor(keys: ConsoleKeys, console: () => Pick<ConsoleConfig, 'users'>, isSecure: boolean) {
    this.#keys = keys;
    this.#console = console;
    this.#isSecure = isSecure;
  }

  /** The mark of the browser for this name. */
  find(request: FastifyRequest, name: string): KnownDevice | undefined {
    const device = this.#open(request.cookies[cookieName(name)]);
    return device?.name === name ? device : undefined;
  }

  /** Any mark that the browser has. */
  findAny(request: FastifyRequest): KnownDevice | undefined {
    const names = Object.keys(request.cookies).filter((name) => name.startsWith(prefix));
    for (const name of names.slice(0, maxCookies)) {
      const device = this.#open(request.cookies[name]);
      if (device) return device;
    }
    return undefined;
  }

  remember(reply: FastifyReply, name: string): void {
    const id = randomBytes(12).toString('base64url');
    const proof = this.#proof(name);
    if (proof === undefined) return;
    void reply.setCookie(cookieName(name), this.#keys.seal('device', { id, name, proof }, lifetimeMs), {
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure: this.#isSecure,
      maxAge: lifetimeMs / 1000,
    });
  }

  #open(cookie: string | undefined): KnownDevice | undefined {
    if (cookie === undefined || cookie.length > maxCookieLength) return undefined;
    const opened = sealed.safeParse(this.#keys.open('device', cookie));
    if (!opened.success) return undefined;
    const { id, name, proof } = opened.data;
    return proof === this.#proof(name) ? { id, name } : undefined;
  }

  /** Changes with the password. */
  #proof(name: string): string | undefined {
    const { users } = this.#console();
    const user = users && Object.hasOwn(users, name) ? users[name] : undefined;
    return user && createHmac('sha256', 'device').update(user.password.reveal()).digest('base64url');
  }
}

/** Name of the cookie of a user: several users may share a browser. */
function cookieName(name: string): string {
  return prefix + createHash('sha256').update(name).digest('hex').slice(0, 8);
}
