import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { RunningService } from '../process/dependency.ts';
import { healthAnswers } from './answer-health.ts';

/** Health, readiness and metrics as routes of a larger server. */
export function addHealthRoutes(
  server: FastifyInstance,
  services: () => readonly RunningService[],
  metrics: Registry,
): void {
  for (const [path, answer] of Object.entries(healthAnswers(services, metrics))) {
    server.get(path, async (_, reply) => {
      const { status, type, body } = await answer();
      return reply.code(status).type(type).send(body);
    });
  }
}
