import type { Telemetry } from 'bullmq';
import { BullMQOtel } from 'bullmq-otel';

const name = 'dicom-dispatch';

type Environment = Readonly<Record<string, string | undefined>>;

/** Whether traces are wanted: by the variables that OpenTelemetry itself defines. */
export function isTraced(env: Environment = process.env): boolean {
  if (env['OTEL_SDK_DISABLED'] === 'true') return false;
  return Boolean(env['OTEL_EXPORTER_OTLP_ENDPOINT'] ?? env['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']);
}

/** What carries a trace from whoever adds a job to whoever runs it; undefined when no traces are wanted. */
export function queueTelemetry(env: Environment = process.env): Telemetry | undefined {
  return isTraced(env) ? new BullMQOtel({ tracerName: name }) : undefined;
}

export interface RunningTelemetry {
  /** Sends what is left. */
  stop(): Promise<void>;
}

/**
 * Sends traces to where `OTEL_EXPORTER_OTLP_ENDPOINT` says (OTLP over HTTP): a study can be followed from the router
 * that enqueued it to the attempts of its deliveries. Spans carry names of queues and ids of jobs, nothing of a patient.
 * Without that variable nothing is loaded.
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
    spanProcessors: [new sdk.BatchSpanProcessor({ exporter: new OTLPTraceExporter() })],
  });
  api.context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable());
  api.propagation.setGlobalPropagator(new core.W3CTraceContextPropagator());
  api.trace.setGlobalTracerProvider(provider);
  return {
    async stop() {
      await provider.shutdown();
      api.trace.disable();
      api.context.disable();
      api.propagation.disable();
    },
  };
}
