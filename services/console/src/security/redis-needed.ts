import { once } from 'node:events';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { html } from '../pages/html.ts';
import { sendPage } from '../pages/layout/page.ts';

const waitMs = 2_000;
const withoutRedis = new Set(['/healthz', '/readyz', '/metrics', '/static/:version/:name']);

/**
 * While Redis is unavailable its commands wait, and pages would too: they report it instead. A request during the
 * recovery waits a moment.
 */
export function requireRedis(server: FastifyInstance, context: ConsoleContext): void {
  const { redis } = context;
  server.addHook('onRequest', async (request, reply) => {
    if (redis.status === 'ready' || withoutRedis.has(request.routeOptions.url ?? '')) return undefined;
    await once(redis, 'ready', { signal: AbortSignal.timeout(waitMs) }).catch(() => {});
    // It may have become available and unavailable again meanwhile.
    if ((redis.status as string) === 'ready') return undefined;
    void reply.code(503);
    const isPage = request.method === 'GET' && (request.headers.accept ?? '').includes('text/html');
    if (!isPage) return reply.send({ error: 'unavailable', message: 'Redis does not respond; try again.' });
    const body = html`<div class="empty">
      <p class="title">Redis does not respond.</p>
      <p>Nothing is lost: studies and deliveries continue when it answers. This page then reloads automatically.</p>
    </div>`;
    return sendPage(context, request, reply, { id: 'health', title: 'Redis does not respond', body });
  });
}
