import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { boardPrefix } from './access.ts';
import type { Proved } from './sessions.ts';

/** The cookie from which Bull Board's script reads the token for changes (axios' own names). */
const boardTokenCookie = 'XSRF-TOKEN';
const maxDestinationLength = 1000;

/** Signs a user in: a new session, which replaces the one of the browser, and its cookies. */
export async function startSession(
  context: ConsoleContext,
  request: FastifyRequest,
  reply: FastifyReply,
  who: Proved,
): Promise<void> {
  const before = request.cookies[context.cookieName];
  if (before !== undefined) await context.sessions.end(before);
  const { id, csrf } = await context.sessions.create(who);
  const secure = context.isSecure;
  // Lax, not strict: a link in an e-mail opens the page, not the sign-in. Changes also need the token.
  void reply.setCookie(context.cookieName, id, { path: '/', httpOnly: true, sameSite: 'lax', secure });
  void reply.setCookie(boardTokenCookie, csrf, { path: boardPrefix, httpOnly: false, sameSite: 'strict', secure });
}

export async function endSession(context: ConsoleContext, reply: FastifyReply, id: string | undefined): Promise<void> {
  if (id !== undefined) await context.sessions.end(id);
  void reply.clearCookie(context.cookieName, { path: '/' });
  void reply.clearCookie(boardTokenCookie, { path: boardPrefix });
}

/** Destination after the sign-in: only pages of this console. */
export function safeDestination(to: unknown): string {
  if (typeof to !== 'string' || to.length > maxDestinationLength) return '/';
  if (!/^\/(?![/\\])[\x21-\x7e]*$/.test(to) || to.includes('\\')) return '/';
  return to.startsWith('/sign-in') ? '/' : to;
}
