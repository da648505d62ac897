import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { isLoopback } from '@dicom-dispatch/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendSetupRefusal } from './setup-page.ts';
import { changesSomething, foreignOrigin, namesLoopback } from '../security/same-origin.ts';

const cookieName = 'dispatch-setup';

/**
 * Admits only the browser that opens the printed link first: the answers of the first start determine which programs the services
 * run, and who can sign in.
 */
export class SetupAccess {
  /** Part of the printed link. */
  readonly token = randomBytes(24).toString('base64url');
  /** Token that must be sent with every request that changes something. */
  readonly csrf = randomBytes(24).toString('base64url');
  readonly #session = randomBytes(24).toString('base64url');
  readonly #onLoopback: boolean;
  #isTaken = false;

  constructor(host: string) {
    this.#onLoopback = isLoopback(host);
  }

  guard(server: FastifyInstance): void {
    server.addHook('onRequest', async (request, reply) => {
      if (this.#onLoopback && !namesLoopback(request))
        return sendSetupRefusal(request, reply, 'Use 127.0.0.1 in the address.');
      if (request.routeOptions.config.access === 'public') return undefined;
      if (!this.#isIn(request))
        return sendSetupRefusal(request, reply, 'Open the link that "dispatch up" has printed.');
      if (!changesSomething(request)) return undefined;
      const foreign = foreignOrigin(request, undefined);
      if (foreign !== undefined) return sendSetupRefusal(request, reply, `The request was ${foreign}.`);
      if (!same(request.headers['x-xsrf-token'], this.csrf))
        return sendSetupRefusal(request, reply, 'Reload the page.');
      return undefined;
    });
  }

  /** Exchanges the token for a cookie, once. @returns why this is not possible; undefined if it is */
  enter(request: FastifyRequest, reply: FastifyReply, token: string): string | undefined {
    if (this.#isIn(request)) return undefined;
    if (!same(token, this.token)) return 'This is not the latest link that "dispatch up" printed.';
    if (this.#isTaken)
      return 'This link was opened in another browser. If that was not you, stop "dispatch up" and start it again: it prints a new link.';
    this.#isTaken = true;
    void reply.setCookie(cookieName, this.#session, { path: '/', httpOnly: true, sameSite: 'lax' });
    return undefined;
  }

  #isIn(request: FastifyRequest): boolean {
    return same(request.cookies[cookieName], this.#session);
  }
}

function same(given: unknown, kept: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return typeof given === 'string' && timingSafeEqual(digest(given), digest(kept));
}
