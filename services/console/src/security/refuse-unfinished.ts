import { checkFormat, FormatError } from '@dicom-dispatch/state/keys';
import type { FastifyInstance } from 'fastify';
import type { ConsoleContext } from '../console-context.ts';
import { sendError } from '../error-answers.ts';
import { changesSomething } from './same-origin.ts';

/**
 * Rejects changes with 503 while the data in Redis are being migrated or restored: a change could be overwritten, or be made in a
 * format that no longer exists. Pages can be read, and users can sign in and out.
 */
export function refuseUnfinishedData(server: FastifyInstance, { redis, config }: ConsoleContext): void {
  server.addHook('onRequest', async (request, reply) => {
    const { url, config: route } = request.routeOptions;
    if (!changesSomething(request) || route.access === 'public' || url === '/api/sign-out' || request.is404)
      return undefined;
    try {
      await checkFormat(redis, config().redis.prefix);
      return undefined;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      return sendError(reply.header('retry-after', '5'), {
        status: 503,
        error: 'unavailable',
        message: `Nothing was changed: ${error.message}`,
      });
    }
  });
}
