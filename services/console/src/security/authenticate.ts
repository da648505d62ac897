import { createHash, timingSafeEqual } from 'node:crypto';
import { needsSignIn, type Config } from '@dicom-dispatch/core';
import type { FastifyRequest } from 'fastify';
import { localIdentity, type Identity } from './identity.ts';
import type { Sessions } from './sessions.ts';

/** `__Host-` binds the cookie to this host and to TLS; over plain http browsers would not accept it. */
export function sessionCookieName(isSecure: boolean): string {
  return isSecure ? '__Host-dispatch' : 'dispatch';
}

/** The identity of the sender, if known. `look` does not count as a use of the session. */
export async function authenticate(
  request: FastifyRequest,
  config: Config,
  { sessions, cookieName }: { readonly sessions: Sessions; readonly cookieName: string },
  use: 'touch' | 'look' = 'touch',
): Promise<Identity | undefined> {
  if (!needsSignIn(config.console)) return localIdentity;
  const { authorization } = request.headers;
  if (authorization !== undefined) return tokenIdentity(authorization, config);
  const cookie = request.cookies[cookieName];
  return cookie === undefined ? undefined : sessions.find(cookie, use);
}

function tokenIdentity(authorization: string, config: Config): Identity | undefined {
  const given = /^Bearer ([\x21-\x7e]{20,1024})$/.exec(authorization)?.[1];
  if (given === undefined) return undefined;
  for (const [name, { token, role, targets }] of Object.entries(config.console.tokens ?? {})) {
    if (!timingSafeEqual(digest(given), digest(token.reveal()))) continue;
    return { name: `token:${name}`, role, by: 'token', ...(targets && { targets }) };
  }
  return undefined;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
