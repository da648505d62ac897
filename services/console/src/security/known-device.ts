import { createHash, randomBytes } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ConsoleKeys } from './console-keys.ts';

const lifetimeMs = 180 * 86_400_000;
const pattern = /^([\w-]{16})\.(\d{13})\.([\w-]{43})$/;

/**
 * Marks browsers that have signed in: guesses that others make under the same name then do not lock them out. The cookie
 * is bound to the name and its password, and signs nobody in.
 */
export class KnownDevices {
  readonly #keys: ConsoleKeys;
  readonly #isSecure: boolean;

  constructor(keys: ConsoleKeys, isSecure: boolean) {
    this.#keys = keys;
    this.#isSecure = isSecure;
  }

  /** The browser that sends the request, if it has signed in under this name before. */
  find(request: FastifyRequest, name: string, password: string): string | undefined {
    const [, id = '', at = '', signature = ''] = pattern.exec(request.cookies[cookieName(name)] ?? '') ?? [];
    if (id === '' || Number(at) + lifetimeMs < Date.now()) return undefined;
    return this.#keys.isSigned('device', signed(id, at, name, password), signature) ? id : undefined;
  }

  remember(reply: FastifyReply, name: string, password: string): void {
    const id = randomBytes(12).toString('base64url');
    const at = String(Date.now());
    const signature = this.#keys.sign('device', signed(id, at, name, password));
    void reply.setCookie(cookieName(name), `${id}.${at}.${signature}`, {
      path: '/sign-in',
      httpOnly: true,
      sameSite: 'strict',
      secure: this.#isSecure,
      maxAge: lifetimeMs / 1000,
    });
  }
}

/** Several people may use one browser. */
function cookieName(name: string): string {
  return `dispatch-device-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`;
}

function signed(id: string, at: string, name: string, password: string): string {
  return JSON.stringify([id, at, name, password]);
}
