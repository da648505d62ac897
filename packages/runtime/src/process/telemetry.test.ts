import { startHttpServer, startRedis } from '@dicom-dispatch/harness';
import { Queue, Worker } from 'bullmq';
import { afterEach, describe, expect, it } from 'vitest';
import { createLogger } from '../logging/create-logger.ts';
import { queueOptions, workerOptions } from '../queues/queue-options.ts';
import { connectRedis } from '../redis/connect-redis.ts';
import { currentTraceId, traceAttempt } from './attempt-trace.ts';
import { isTraced, startTelemetry } from './telemetry.ts';

const variable = 'OTEL_EXPORTER_OTLP_ENDPOINT';
afterEach(() => {
  delete process.env[variable];
});

describe('telemetry', () => {
  it('is off unless OpenTelemetry is configured', async () => {
    expect(isTraced({})).toBe(false);
    expect(isTraced({ [variable]: 'http://collector:4318' })).toBe(true);
    expect(isTraced({ [variable]: 'http://collector:4318', OTEL_SDK_DISABLED: 'true' })).toBe(false);
    expect(await startTelemetry('router', {})).toBeUndefined();
  });

  it('follows a job from who adds it to who runs it, in one trace', async () => {
    await using collector = await startHttpServer((_request, response) => void response.writeHead(200).end('{}'));
    await using server = await startRedis({ appendonly: false });
    process.env[variable] = collector.url;
    const telemetry = await startTelemetry('test');
    const redis = connectRedis(server.url, 'test', createLogger('test', { level: 'error', format: 'json' }));
    const queue = new Queue('target-a', queueOptions(redis, '{t}'));
    const done = Promise.withResolvers<void>();
    let traceId: string | undefined;
    const worker = new Worker(
      'target-a',
      async () => {
        traceId = currentTraceId();
        const trace = traceAttempt({ 'dispatch.delivery': 'd-1' });
        trace.stage('connect', 5);
        trace.fail('target-full', 'no space');
        trace.end();
        done.resolve();
      },
      workerOptions(redis, '{t}', 1, 15_000),
    );
    void worker.run();
    await queue.add('delivery', {}, { jobId: 'd-1' });
    await done.promise;
    await worker.close();
    await queue.close();
    redis.disconnect();
    await telemetry?.stop();
    const spans = collector.requests.flatMap(({ body }) => spansOf(JSON.parse(body.toString())));
    const added = spans.find(({ name }) => name.startsWith('add'));
    const ran = spans.find(({ name }) => name.startsWith('process'));
    expect(added?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(ran?.traceId).toBe(added?.traceId);
    expect(collector.requests[0]?.body.toString()).toContain('dicom-dispatch-test');
    expect(traceId, 'for the log').toBe(ran?.traceId);
    const attempt = spans.find(({ name }) => name === 'attempt');
    expect(attempt).toMatchObject({ traceId, parentSpanId: ran?.spanId, status: { code: 2, message: 'no space' } });
    expect(spans.find(({ name }) => name === 'stage connect')).toMatchObject({ parentSpanId: attempt?.spanId });
    // Nothing of BullMQ's internal operations.
    expect(new Set(spans.map(({ name }) => name.split(' ')[0]))).toEqual(
      new Set(['add', 'process', 'attempt', 'stage']),
    );
  });

  it('ends though the collector never answers', async () => {
    await using collector = await startHttpServer(() => {});
    const telemetry = await startTelemetry('test', { [variable]: collector.url });
    process.env[variable] = collector.url;
    traceAttempt({}).end();
    await telemetry?.stop();
    expect(currentTraceId()).toBeUndefined();
  });
});

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code?: number; readonly message?: string };
}

function spansOf(body: unknown): Span[] {
  const { resourceSpans } = body as { resourceSpans: { scopeSpans: { spans: Span[] }[] }[] };
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}
