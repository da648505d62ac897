import { once } from 'node:events';
import { withDeadline } from '@dicom-dispatch/state/redis';
import type { Redis } from '@dicom-dispatch/runtime';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { html } from '../pages/html.ts';
import { sendPage } from '../pages/layout/page.ts';

const waitMs = 2_000;
/** A connected Redis that has not answered for so long does not respond: it is frozen, or the network drops its packets. */
const answerWithinMs = 5_000;
/** How long an answer counts. */
const keptMs = 1_000;
const withoutRedis = new Set(['/healthz', '/readyz', '/metrics', '/static/:version/:name']);

/**
 * While Redis is unavailable its commands wait, and pages would too: they report it instead. A request during the
 * recovery waits a moment.
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

/** Asks Redis for a sign of life, once for all requests of a second. */
function shareAnswer(redis: Redis): () => Promise<boolean> {
  let last: { readonly at: number; readonly answered: Promise<boolean> } | undefined;
  return () => {
    if (!last || performance.now() - last.at > keptMs) {
      // A refusal is an answer, too.
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
