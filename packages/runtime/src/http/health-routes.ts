import type { FastifyInstance } from 'fastify';
import { healthAnswers, type HealthOptions } from './answer-health.ts';

/** Health, readiness and metrics as routes of a larger server. */
export function addHealthRoutes(server: FastifyInstance, options: HealthOptions): void {
  for (const [path, answer] of Object.entries(healthAnswers(options))) {
    server.get(path, async (_, reply) => {
      const { status, type, body } = await answer();
      return reply.code(status).type(type).send(body);
    });
  }
}
