import { setTimeout as sleep } from 'node:timers/promises';
import type { SpanKind } from '@opentelemetry/api';
import type { SpanProcessor } from '@opentelemetry/sdk-trace';
import type { Telemetry } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';
import { useTracing } from './attempt-trace.ts';

const name = 'dicom-dispatch';
/** What BullMQ traces, apart from our own spans. */
const queueScope = 'dicom-dispatch-queues';
/** Remaining spans are sent within this time when a process ends; an unavailable collector does not block it. */
const flushMs = 2_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether traces are enabled: by the variables that OpenTelemetry itself defines. */
export function isTraced(env: Environment = process.env): boolean {
  if (env['OTEL_SDK_DISABLED'] === 'true') return false;
  return Boolean(env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']);
}

/** Propagates a trace from the producer of a job to its worker; undefined if traces are disabled. */
export function queueTelemetry(env: Environment = process.env): Telemetry | undefined {
  return isTraced(env) ? new BullMQOtel({ tracerName: queueScope }) : undefined;
}

export interface RunningTelemetry {
  /** Sends the remaining spans. */
  stop(): Promise<void>;
}

/**
 * Omits spans of BullMQ for locks, polling for the next job and similar: they would be most of all spans, and are not
 * related to a study.
 */
function withoutHousekeeping(to: SpanProcessor, internal: SpanKind): SpanProcessor {
  return {
    onStart: (span, context) => to.onStart(span, context),
    onEnd(span) {
      if (span.instrumentationScope.name !== queueScope || span.kind !== internal) to.onEnd(span);
    },
    forceFlush: () => to.forceFlush(),
    shutdown: () => to.shutdown(),
  };
}

/**
 * Sends traces by OTLP over HTTP, if {@link isTraced}: a study can be followed from the router that enqueued it to the
 * attempts of its deliveries and their stages. Spans contain names of queues and targets, ids of jobs and codes of
 * errors, but no patient data. If traces are disabled, nothing is loaded.
 */
export async function startTelemetry(
  service: string,
  env: Environment = process.env,
): Promise<RunningTelemetry | undefined> {
  if (!isTraced(env)) return undefined;
  const [api, core, sdk, resources, hooks, { OTLPTraceExporter }] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/core'),
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/exporter-trace-otlp-http'),
  ]);
  const provider = new sdk.TracerProvider({
    resource: resources
      .defaultResource()
      .merge(resources.resourceFromAttributes({ 'service.name': env['OTEL_SERVICE_NAME'] ?? `${name}-${service}` })),
    spanProcessors: [
      withoutHousekeeping(
        new sdk.BatchSpanProcessor({ exporter: new OTLPTraceExporter({ timeoutMillis: flushMs }) }),
        api.SpanKind.INTERNAL,
      ),
    ],
  });
  api.context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable());
  api.propagation.setGlobalPropagator(new core.W3CTraceContextPropagator());
  api.trace.setGlobalTracerProvider(provider);
  useTracing(api);
  return {
    async stop() {
      useTracing(undefined);
      await Promise.race([provider.shutdown().catch(() => {}), sleep(flushMs, undefined, { ref: false })]);
      api.trace.disable();
      api.context.disable();
      api.propagation.disable();
    },
  };
}
