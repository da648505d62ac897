import { isLoopback, needsSignIn, networkMatcher, type Role } from '@dicom-dispatch/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { boardVerdict } from '../queues/board-access.ts';
import { AnonymousPace } from './anonymous-pace.ts';
import { authenticate } from './authenticate.ts';
import { proxySign } from './behind-proxy.ts';
import { clientKey } from './client-key.ts';
import { isAllowed, type Identity } from './identity.ts';
import { changesSomething, foreignOrigin, namesLoopback } from './same-origin.ts';
import { TokenBuckets } from './token-bucket.ts';
import { outsideOfScope } from './token-scope.ts';

/** Path of Bull Board. */
export const boardPrefix = '/queues';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Who may use the route. A route without this is rejected for everybody. */
    access?: Role | 'public';
    /** Name of the action in the audit log, for routes that are recorded: changes, exports, downloads and searches of targets. */
    action?: string;
  }
  interface FastifyRequest {
    identity: Identity | undefined;
  }
}

/** Changes per second that one user or program may make, and the burst: the audit log contains each of them. */
const changes = { perSecond: 10, burst: 600 };

/** The same for exports and downloads, which change nothing and are in the audit log as well. */
const notedReads = { perSecond: 0.5, burst: 300 };

/** The same for reading the audit log, which a program may request every second. */
const auditReads = { perSecond: 1, burst: 300 };

/** Requests without a session, per second, of a browser in which a user has signed in before. */
const ofKnownDevice = { perSecond: 10, burst: 100 };

/** The response to a rejected request. */
interface Refusal {
  readonly status: 401 | 403 | 429;
  readonly text: string;
  /** In seconds. */
  readonly retryAfter?: number;
}

/**
 * Checks every request first: its sender, their permission, and whether it comes from a page of this console. A route defines in
 * its `config.access` who may use it; a route without it is rejected.
 */
export function guardAccess(server: FastifyInstance, context: ConsoleContext): void {
  const pace = new AnonymousPace();
  const budgets = {
    changes: new TokenBuckets(changes, 1000),
    notedReads: new TokenBuckets(notedReads, 1000),
    auditReads: new TokenBuckets(auditReads, 1000),
  };
  const known = new TokenBuckets(ofKnownDevice, 1000);
  server.addHook('onClose', async () => pace.stop());
  server.decorateRequest('identity', undefined);
  server.addHook('onRequest', async (request, reply) => {
    const config = context.config();
    const closed = doorVerdict(request, context);
    if (closed) return refuse(request, reply.header('connection', 'close'), closed);
    // A page that only polls the state does not extend a session.
    const use = request.routeOptions.url === '/api/health' ? 'look' : 'touch';
    request.identity = await authenticate(request, config, context, use);
    if (!request.identity && !mayHurry(request, context, known)) {
      const client = clientKey(request.ip);
      if (!(await pace.admit(client, request.raw.socket))) {
        context.refused.count('too many');
        const busy = { status: 429, text: 'Too many requests: try again later.' } as const;
        return refuse(request, reply.header('connection', 'close').header('retry-after', '5'), busy);
      }
    }
    if (request.is404) return undefined;
    const refusal = (await verdict(request, context)) ?? tooMany(request, budgets);
    if (!refusal) {
      context.open.add(request, reply.raw, async () => isStillAllowed(request, context));
      return undefined;
    }
    noteRefusal(context, request, refusal);
    return refuse(request, reply, refusal);
  });
}

/** Whether the console serves requests from this address at all. */
function doorVerdict(request: FastifyRequest, context: ConsoleContext): Refusal | undefined {
  const { console } = context.config();
  if (console.allowFrom.length > 0 && !isLoopback(request.ip) && !networkMatcher(console.allowFrom)(request.ip)) {
    return { status: 403, text: 'This console does not accept requests from this network (console.allowFrom).' };
  }
  if (needsSignIn(console)) return undefined;
  if (!namesLoopback(request)) {
    return { status: 403, text: 'This console serves only its own host: use 127.0.0.1.' };
  }
  const sign = proxySign(request);
  if (sign === undefined) return undefined;
  return {
    status: 403,
    text: `This console has no sign-in and serves only its own host, but the request came through a proxy (${sign}). Configure console.users, console.tokens or console.oidc.`,
  };
}

async function verdict(request: FastifyRequest, context: ConsoleContext): Promise<Refusal | undefined> {
  const { identity } = request;
  const needs = neededFor(request, context);
  if (needs === 'refused') return { status: 403, text: 'This function is not available here.' };
  if (changesSomething(request)) {
    const foreign = foreignOrigin(request, context.config().console.publicUrl);
    if (foreign) return { status: 403, text: `The request was ${foreign}.` };
  }
  if (needs === 'public') return undefined;
  if (!identity) return { status: 401, text: 'Sign in first.' };
  if (!isAllowed(identity.role, needs))
    return { status: 403, text: `This needs the role ${needs}; you are ${identity.role}.` };
  if (changesSomething(request) && identity.csrf !== undefined && request.headers['x-xsrf-token'] !== identity.csrf) {
    return { status: 403, text: 'The token of the page is missing or expired: reload the page.' };
  }
  const outside = await outsideOfScope(request, identity, context);
  if (outside !== undefined) return { status: 403, text: outside };
  return undefined;
}

/** Whether a request skips the limit for unknown callers: its browser has signed in before, and has not used up its own limit. */
function mayHurry(request: FastifyRequest, context: ConsoleContext, known: TokenBuckets): boolean {
  const device = context.devices.findAny(request);
  const budget = device && known.of(device.id);
  if (!budget || budget.isEmpty()) return false;
  budget.take();
  return true;
}

/** Limits requests that are recorded: the audit log has a maximum size, and nobody may displace the entries of others. */
function tooMany(
  request: FastifyRequest,
  budgets: Readonly<Record<'changes' | 'notedReads' | 'auditReads', TokenBuckets>>,
): Refusal | undefined {
  const { identity } = request;
  const isChange = changesSomething(request);
  if (!identity || identity.by === 'local') return undefined;
  const { action } = request.routeOptions.config;
  if (!isChange && action === undefined) return undefined;
  const kind = isChange ? 'changes' : action === 'read audit log' ? 'auditReads' : 'notedReads';
  const budget = budgets[kind].of(identity.name);
  if (!budget.isEmpty()) {
    budget.take();
    return undefined;
  }
  const text = {
    changes: 'Too many changes in a short time: wait a minute, or use /api/bulk.',
    notedReads: 'Too many exports in a short time: wait a minute.',
    auditReads: 'The audit log was read too often: request it once a second at most.',
  }[kind];
  return { status: 429, text, retryAfter: kind === 'auditReads' ? 1 : 60 };
}

/** Whether the user would still be allowed to send a request whose response is being sent. */
async function isStillAllowed(request: FastifyRequest, context: ConsoleContext): Promise<boolean> {
  if (doorVerdict(request, context)) return false;
  const needs = neededFor(request, context);
  if (needs === 'public') return true;
  const identity = await authenticate(request, context.config(), context, 'look');
  if (needs === 'refused' || !identity || !isAllowed(identity.role, needs)) return false;
  return (await outsideOfScope(request, identity, context)) === undefined;
}

function neededFor(request: FastifyRequest, context: ConsoleContext): Role | 'public' | 'refused' {
  const route = request.routeOptions.url ?? '';
  if (route === '/healthz' || route === '/readyz') return 'public';
  if (route === '/metrics') return context.config().console.openMetrics ? 'public' : 'viewer';
  if (route === boardPrefix || route.startsWith(`${boardPrefix}/`)) {
    const board = boardVerdict(request.method, route.slice(boardPrefix.length) || '/');
    if (board.kind === 'action') return board.role;
    return board.kind === 'read' ? 'viewer' : 'refused';
  }
  return request.routeOptions.config.access ?? 'refused';
}

/** Rejections of known users are recorded; requests of unknown callers are only counted. */
function noteRefusal(context: ConsoleContext, request: FastifyRequest, { status, text }: Refusal): void {
  const { identity } = request;
  context.refused.count(status === 401 ? 'not signed in' : 'forbidden');
  if (!identity) return;
  context.refused.note({
    who: identity.name,
    role: identity.role,
    action: request.routeOptions.config.action ?? `${request.method} ${request.routeOptions.url ?? ''}`,
    subject: Object.values((request.params ?? {}) as Record<string, string>)
      .join(' ')
      .slice(0, 200),
    outcome: 'refused',
    detail: text,
    address: request.ip,
  });
}

/** Pages redirect to the sign-in; everything else gets a JSON response. */
function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  const isPage = request.method === 'GET' && (request.headers.accept ?? '').includes('text/html');
  if (isPage && refusal.status === 401) {
    return reply.redirect(`/sign-in?to=${encodeURIComponent(request.url)}`);
  }
  const error = { 401: 'sign-in', 403: 'forbidden', 429: 'too-many' }[refusal.status];
  if (refusal.retryAfter !== undefined) reply.header('retry-after', String(refusal.retryAfter));
  return reply.code(refusal.status).send({ error, message: refusal.text });
}
