import helmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { boardPrefix } from './access.ts';

const own = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'"],
  'connect-src': ["'self'"],
  'form-action': ["'self'"],
  'base-uri': ["'none'"],
  'frame-ancestors': ["'none'"],
};

// The page of Bull Board has a base element, and its components add style elements.
const board = {
  ...own,
  'base-uri': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'manifest-src': ["'self'"],
};

/** Routes whose responses browsers may cache, since they depend on the URL only. */
const keptByBrowsers: ReadonlySet<string> = new Set(['/static/:version/:name', `${boardPrefix}/static/*`]);

/** Headers that forbid browsers everything that the pages do not need, such as loading resources from another host. */
export async function addSecurityHeaders(
  server: FastifyInstance,
  context: Pick<ConsoleContext, 'isSecure'>,
): Promise<void> {
  await server.register(helmet, {
    global: true,
    contentSecurityPolicy: false,
    hsts: context.isSecure ? { maxAge: 31_536_000, includeSubDomains: false } : false,
    referrerPolicy: { policy: 'same-origin' },
    frameguard: { action: 'deny' },
  });
  const ownText = policyText(own);
  const boardText = policyText(board);
  server.addHook('onRequest', async (request, reply) => {
    const route = request.routeOptions.url ?? '';
    const isBoard = route === boardPrefix || route.startsWith(`${boardPrefix}/`);
    reply.header('content-security-policy', isBoard ? boardText : ownText);
    reply.header('permissions-policy', 'camera=(), microphone=(), geolocation=(), interest-cohort=()');
    if (!keptByBrowsers.has(route)) reply.header('cache-control', 'no-store');
  });
}

function policyText(directives: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(directives)
    .map(([name, values]) => `${name} ${values.join(' ')}`)
    .join('; ');
}
