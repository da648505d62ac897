import type { Registry } from 'prom-client';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DependencyState, PublicFinding, RunningService } from '../process/dependency.ts';

export interface HealthAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

/** Reported data of a process, by path. */
export type HealthAnswers = Readonly<Record<'/healthz' | '/readyz' | '/metrics', () => Promise<HealthAnswer>>>;

export interface HealthOptions {
  readonly services: () => readonly RunningService[];
  readonly metrics: Registry;
  /** Findings that need action in the complete system. */
  readonly findings?: (() => Promise<readonly PublicFinding[]>) | undefined;
}

/** A probe requires a fast response, even if the complete system cannot be checked. */
const findingsWithinMs = 1_000;

/**
 * `/healthz`: the process is alive. `/readyz`: each dependency of its services, by name; 503 if one is missing. It also
 * lists findings that need an operator in the complete system, which do not make a service unready. `/metrics`: Prometheus.
 */
export function healthAnswers({ services, metrics, findings }: HealthOptions): HealthAnswers {
  return {
    '/healthz': async () => json(200, { status: 'ok' }),
    async '/readyz'() {
      const [states, found] = await Promise.all([
        Promise.all(
          services().map(async (service) => ({ service: service.name, dependencies: await service.dependencies() })),
        ),
        findings &&
          Promise.race([findings().catch(() => undefined), sleep(findingsWithinMs, undefined, { ref: false })]),
      ]);
      const ready = states.every(({ dependencies }) => dependencies.every(isThere));
      return json(ready ? 200 : 503, {
        status: ready ? 'ready' : 'not ready',
        services: states,
        ...(found && { findings: found }),
      });
    },
    '/metrics': async () => ({ status: 200, type: metrics.contentType, body: await metrics.metrics() }),
  };
}

function isThere({ ok, isNeeded = true }: DependencyState): boolean {
  return ok || !isNeeded;
}

function json(status: number, value: unknown): HealthAnswer {
  return { status, type: 'application/json; charset=utf-8', body: JSON.stringify(value) };
}
