import type { Registry } from 'prom-client';
import type { RunningService } from '../process/dependency.ts';
import { addHealthRoutes } from './health-routes.ts';
import { parseListen } from './listen.ts';

/** The small server of a service that runs alone: health, readiness, metrics. */
export async function startHealthServer(
  listen: string,
  services: () => readonly RunningService[],
  metrics: Registry,
): Promise<{ readonly url: string; stop(): Promise<void> }> {
  // Loaded only where it serves: every command of the command line loads this package.
  const { fastify } = await import('fastify');
  const server = fastify({ logger: false, forceCloseConnections: true });
  addHealthRoutes(server, services, metrics);
  const url = await server.listen(parseListen(listen));
  return { url, stop: () => server.close() };
}
