import { needsSignIn, type Role } from '@dicom-dispatch/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { boardVerdict } from '../queues/board-access.ts';
import { authenticate } from './authenticate.ts';
import { isAllowed, type Identity } from './identity.ts';
import { changesSomething, foreignOrigin, namesLoopback } from './same-origin.ts';

/** Where Bull Board is. */
export const boardPrefix = '/queues';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route. A route that does not say is refused to everybody. */
    access?: Role | 'public';
    /** How the audit log calls what the route does; only what changes something has it. */
    action?: string;
  }
  interface FastifyRequest {
    identity: Identity | undefined;
  }
}

/** Why a request goes no further. */
interface Refusal {
  readonly status: 401 | 403;
  readonly text: string;
}

/**
 * Asks of every request, before anything else is done with it: who is it, may they, and did they mean it. A route says
 * in its `config.access` who may use it; what says nothing is refused.
 */
export function guardAccess(server: FastifyInstance, context: ConsoleContext): void {
  server.decorateRequest('identity', undefined);
  server.addHook('onRequest', async (request, reply) => {
    const config = context.config();
    if (!needsSignIn(config.console) && !namesLoopback(request)) {
      return refuse(request, reply, { status: 403, text: 'This console serves only its own machine: use 127.0.0.1.' });
    }
    request.identity = await authenticate(request, config, context.sessions, context.cookieName);
    if (request.is404) return undefined;
    const refusal = verdict(request, context);
    if (!refusal) return undefined;
    const { identity } = request;
    if (identity && changesSomething(request)) await auditRefusal(context, request, refusal.text);
    return refuse(request, reply, refusal);
  });
}

function verdict(request: FastifyRequest, context: ConsoleContext): Refusal | undefined {
  const { identity } = request;
  const needs = neededFor(request, context);
  if (needs === 'refused') return { status: 403, text: 'This is not offered here.' };
  if (changesSomething(request)) {
    const foreign = foreignOrigin(request, context.config().console.publicUrl);
    if (foreign) return { status: 403, text: `The request was ${foreign}.` };
  }
  if (needs === 'public') return undefined;
  if (!identity) return { status: 401, text: 'Sign in first.' };
  if (!isAllowed(identity.role, needs))
    return { status: 403, text: `This needs the role ${needs}; you are ${identity.role}.` };
  if (changesSomething(request) && identity.csrf !== undefined && request.headers['x-xsrf-token'] !== identity.csrf) {
    return { status: 403, text: 'The token of the page is missing or old: load the page again.' };
  }
  return undefined;
}

function neededFor(request: FastifyRequest, context: ConsoleContext): Role | 'public' | 'refused' {
  const route = request.routeOptions.url ?? '';
  if (route === '/healthz' || route === '/readyz') return 'public';
  if (route === '/metrics') return context.config().console.openMetrics ? 'public' : 'viewer';
  if (route === boardPrefix || route.startsWith(`${boardPrefix}/`)) {
    const board = boardVerdict(request.method, route.slice(boardPrefix.length) || '/');
    if (board.kind === 'refused') return 'refused';
    return board.kind === 'read' ? 'viewer' : board.role;
  }
  return request.routeOptions.config.access ?? 'refused';
}

async function auditRefusal(context: ConsoleContext, request: FastifyRequest, detail: string): Promise<void> {
  await context.audit.write({
    who: request.identity?.name ?? '',
    role: request.identity?.role ?? '',
    action: request.routeOptions.config.action ?? `${request.method} ${request.routeOptions.url ?? ''}`,
    subject: Object.values((request.params ?? {}) as Record<string, string>).join(' '),
    outcome: 'refused',
    detail,
    address: request.ip,
  });
}

/** Pages lead to the sign-in; everything else gets a JSON answer. */
function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const isPage = request.method === 'GET' && (request.headers.accept ?? '').includes('text/html');
  if (isPage && refusal.status === 401) {
    return reply.redirect(`/sign-in?to=${encodeURIComponent(request.url)}`);
  }
  return reply
    .code(refusal.status)
    .send({ error: refusal.status === 401 ? 'sign-in' : 'forbidden', message: refusal.text });
}
