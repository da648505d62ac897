import { parseConfig, type Config } from '@dicom-dispatch/core';
import { startDispatcher, type DispatcherOptions } from '@dicom-dispatch/dispatcher';
import { startRouter } from '@dicom-dispatch/router';
import { connectRedis, createLogger, createMetrics, type Redis, type RunningService } from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';

export interface InProcess extends AsyncDisposable {
  readonly config: Config;
  readonly redis: Redis;
  readonly services: readonly RunningService[];
}

export interface InProcessOptions extends Pick<DispatcherOptions, 'circuitPauses'> {
  /** As it would be written in YAML. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What a file may not say: locks shorter than 2 s. */
  readonly lockTimeMs?: number;
  /** Default router and dispatcher. */
  readonly services?: readonly ('router' | 'dispatcher')[];
}

/** Services in the process of the test, with times that no configuration allows. */
export async function startInProcess(options: InProcessOptions): Promise<InProcess> {
  const parsed = parseConfig(options.config, Object.values(targetSchemas) as never);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { dispatcher } = parsed.config;
  const config: Config = {
    ...parsed.config,
    dispatcher: { ...dispatcher, graceTime: 1_000, lockTime: options.lockTimeMs ?? dispatcher.lockTime },
  };
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis(config.redis, 'test', log);
  const wanted = options.services ?? ['router', 'dispatcher'];
  const services: RunningService[] = [];
  if (wanted.includes('dispatcher')) {
    const { circuitPauses } = options;
    services.push(
      await startDispatcher({ config, redis, log, metrics: createMetrics(), ...(circuitPauses && { circuitPauses }) }),
    );
  }
  if (wanted.includes('router')) services.push(await startRouter({ config, redis, log, metrics: createMetrics() }));
  return {
    config,
    redis,
    services,
    async [Symbol.asyncDispose]() {
      await Promise.all(services.map((service) => service.stop()));
      redis.disconnect();
    },
  };
}
