import { once } from 'node:events';
import { withDeadline } from '@dicom-dispatch/state/redis';
import type { Redis } from '@dicom-dispatch/runtime';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { html } from '../pages/html.ts';
import { sendPage } from '../pages/layout/page.ts';

const waitMs = 2_000;
/** A connected Redis that does not respond within this time is unavailable: it is frozen, or the network drops its packets. */
const answerWithinMs = 5_000;
/** How long a result is reused. */
const keptMs = 1_000;
const withoutRedis = new Set(['/healthz', '/readyz', '/metrics', '/static/:version/:name']);

/**
 * While Redis is unavailable, commands wait for it. Pages and routes report this with 503 instead of waiting, except for two
 * seconds in which Redis may recover.
 */
export function requireRedis(server: FastifyInstance, context: ConsoleContext): void {
  const { redis } = context;
  const answers = shareAnswer(redis);
  server.addHook('onRequest', async (request, reply) => {
    if (withoutRedis.has(request.routeOptions.url ?? '')) return undefined;
    if (redis.status !== 'ready') await once(redis, 'ready', { signal: AbortSignal.timeout(waitMs) }).catch(() => {});
    // It may have become available and unavailable again meanwhile.
    if (redis.status === 'ready' && (await answers())) return undefined;
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

/** Whether Redis responds to a PING, sent once for all requests of a second. */
function shareAnswer(redis: Redis): () => Promise<boolean> {
  let last: { readonly at: number; readonly answered: Promise<boolean> } | undefined;
  return () => {
    if (!last || performance.now() - last.at > keptMs) {
      // An error reply is a response, too.
      const ping = withDeadline(
        redis.ping().catch(() => undefined),
        answerWithinMs,
      );
      const answered = ping.then(
        () => true,
        () => false,
      );
      last = { at: performance.now(), answered };
    }
    return last.answered;
  };
}
