import type { Registry } from 'prom-client';
import type { RunningService } from '../process/dependency.ts';

export interface HealthAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** What is told of a process, by path. */
export type HealthAnswers = Readonly<Record<'/healthz' | '/readyz' | '/metrics', () => Promise<HealthAnswer>>>;

/**
 * `/healthz`: the process is alive. `/readyz`: each thing it needs, by name; 503 when one is missing. `/metrics`:
 * Prometheus.
 */
export function healthAnswers(services: () => readonly RunningService[], metrics: Registry): HealthAnswers {
  return {
    '/healthz': async () => json(200, { status: 'ok' }),
    async '/readyz'() {
      const states = await Promise.all(
        services().map(async (service) => ({ service: service.name, dependencies: await service.dependencies() })),
      );
      const ready = states.every(({ dependencies }) => dependencies.every(({ ok }) => ok));
      return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', services: states });
    },
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.metrics() }),
  };
}

function json(status: number, value: unknown): HealthAnswer {
  return { status, type: 'application/json; charset=utf-8', body: JSON.stringify(value) };
}
