import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import type { RunningService } from '../process/dependency.ts';

/**
 * `/healthz`: the process is alive. `/readyz`: each thing it needs, by name; 503 when one is missing. `/metrics`:
 * Prometheus.
 */
export function addHealthRoutes(
  server: FastifyInstance,
  services: () => readonly RunningService[],
  metrics: Registry,
): void {
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/readyz', async (_, reply) => {
    const states = await Promise.all(
      services().map(async (service) => ({ service: service.name, dependencies: await service.dependencies() })),
    );
    const ready = states.every(({ dependencies }) => dependencies.every(({ ok }) => ok));
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not ready', services: states });
  });
  server.get('/metrics', async (_, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
}
