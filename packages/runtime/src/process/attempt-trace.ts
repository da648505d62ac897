import type * as Api from '@opentelemetry/api';

/** Set while traces are sent. */
let api: typeof Api | undefined;

/** Called by `startTelemetry`. */
export function useTracing(given: typeof Api | undefined): void {
  api = given;
}

/** The span of one attempt of a delivery, with a span for each stage. Without tracing it does nothing. */
export interface AttemptTrace {
  /** Call this when a stage ends. */
  stage(name: string, durationMs: number): void;
  /** @param text - without patient data */
  fail(code: string, text: string): void;
  end(): void;
}

const untraced: AttemptTrace = { stage() {}, fail() {}, end() {} };

export function traceAttempt(attributes: Readonly<Record<string, string | number>>): AttemptTrace {
  if (!api) return untraced;
  const { trace, context, SpanStatusCode } = api;
  const tracer = trace.getTracer('dicom-dispatch');
  const span = tracer.startSpan('attempt', { attributes });
  const within = trace.setSpan(context.active(), span);
  return {
    stage(name, durationMs) {
      const now = Date.now();
      tracer.startSpan(`stage ${name}`, { startTime: now - durationMs, attributes }, within).end(now);
    },
    fail(code, text) {
      span.setAttribute('error.type', code);
      span.setStatus({ code: SpanStatusCode.ERROR, message: text });
    },
    end: () => span.end(),
  };
}

/** The id of the current trace; undefined if there is none. */
export function currentTraceId(): string | undefined {
  return api?.trace.getActiveSpan()?.spanContext().traceId;
}
