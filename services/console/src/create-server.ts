import cookie from '@fastify/cookie';
import formbody from '@fastify/formbody';
import { publicFinding } from '@dicom-dispatch/operations';
import { addHealthRoutes, boundUnreadBodies } from '@dicom-dispatch/runtime';
import { fastify, type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { addApi } from './api/add-api.ts';
import { auditActions } from './audit/audit-actions.ts';
import { noteQueries } from './audit/note-queries.ts';
import type { ConsoleContext } from './console-context.ts';
import { addErrorAnswers } from './error-answers.ts';
import { addPages } from './pages/add-pages.ts';
import { addBoard } from './queues/add-board.ts';
import { guardAccess } from './security/access.ts';
import { readForwardedAddresses, trustedProxies } from './security/trusted-proxies.ts';
import { requireRedis } from './security/redis-needed.ts';
import { addSecurityHeaders } from './security/headers.ts';
import { refuseNetworks } from './security/refuse-networks.ts';
import { refuseUnfinishedData } from './security/refuse-unfinished.ts';
import { addOidc } from './security/oidc.ts';
import { addSignIn } from './security/sign-in.ts';
import { addStaticFiles } from './static-files.ts';

/** A route as it was registered, with `:names`. */
export interface ServedRoute {
  readonly method: string;
  readonly url: string;
}

const maxBodyBytes = 1024 * 1024;
/** Maximum time from the first byte of a request to its last one; after that the connection is closed. */
const headersMs = 8_000;
const requestMs = 12_000;
const idleMs = 30_000;
const maxConnections = 5_000;
const maxParamLength = 200;

/** The complete HTTP server, not yet listening, and the function that applies a new configuration. */
export async function createServer(context: ConsoleContext): Promise<{
  readonly server: FastifyInstance;
  readonly refresh: () => void;
  readonly routes: readonly ServedRoute[];
}> {
  const server = fastify({
    logger: false,
    bodyLimit: maxBodyBytes,
    trustProxy: trustedProxies(() => context.config().console.trustProxy),
    forceCloseConnections: true,
    requestTimeout: requestMs,
    keepAliveTimeout: idleMs,
    http: { headersTimeout: headersMs, connectionsCheckingInterval: 2_000, maxHeaderSize: 16 * 1024 },
    routerOptions: { maxParamLength },
    rewriteUrl: ({ url = '/' }) => (isRoutable(url) ? url : '/not-an-address'),
  });
  server.server.maxConnections = maxConnections;
  boundUnreadBodies(server.server);
  refuseNetworks(server, context);
  readForwardedAddresses(server);
  const routes: ServedRoute[] = [];
  server.addHook('onRoute', ({ method, url }) => {
    for (const one of Array.isArray(method) ? method : [method]) routes.push({ method: one, url });
  });
  server.setValidatorCompiler(validatorCompiler);
  server.setSerializerCompiler(serializerCompiler);
  addErrorAnswers(server, context);
  await server.register(cookie);
  await server.register(formbody);
  await addSecurityHeaders(server, context);
  requireRedis(server, context);
  guardAccess(server, context);
  refuseUnfinishedData(server, context);
  auditActions(server, context);
  noteQueries(server, context);
  addHealthRoutes(server, {
    services: context.services,
    metrics: context.metrics,
    findings: async () => (await context.health()).map(publicFinding),
  });
  addStaticFiles(server);
  await addApi(server, context);
  await server.register(async (scope) => {
    const typed = scope.withTypeProvider<ZodTypeProvider>();
    addSignIn(typed, context);
    addOidc(typed, context);
    addPages(scope, context);
  });
  const refresh = await addBoard(server, context);
  return { server, refresh, routes };
}

/** Whether a path can be routed: for others the server responds before access is checked. */
function isRoutable(url: string): boolean {
  const [path = ''] = url.split(/[?#]/, 1);
  try {
    decodeURIComponent(path);
  } catch {
    return false;
  }
  return path.split('/').every(({ length }) => length <= maxParamLength);
}
