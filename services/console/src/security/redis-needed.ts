import { once } from 'node:events';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';

const waitMs = 2_000;
const withoutRedis = new Set(['/healthz', '/readyz', '/metrics', '/static/:version/:name']);

/**
 * While Redis is away its commands wait, and pages would too: they say so instead. Who comes just as it comes back waits
 * a moment.
 */
export function requireRedis(server: FastifyInstance, { redis }: ConsoleContext): void {
  server.addHook('onRequest', async (request, reply) => {
    if (redis.status === 'ready' || withoutRedis.has(request.routeOptions.url ?? '')) return undefined;
    await once(redis, 'ready', { signal: AbortSignal.timeout(waitMs) }).catch(() => {});
    // It may have come back and gone again meanwhile.
    if ((redis.status as string) === 'ready') return undefined;
    return reply.code(503).send({ error: 'unavailable', message: 'Redis does not answer now; try again.' });
  });
}
