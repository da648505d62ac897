import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConfig, type Config } from '@dicom-dispatch/core';
import { startDispatcher, type DispatcherOptions } from '@dicom-dispatch/dispatcher';
import { startRouter } from '@dicom-dispatch/router';
import { tempFolder, waitFor } from '@dicom-dispatch/harness';
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
  /** Not allowed in a file: locks shorter than 2 s. */
  readonly lockTimeMs?: number;
  /** Default router and dispatcher. */
  readonly services?: readonly ('router' | 'dispatcher')[];
  /** Where they log to; default nowhere. */
  readonly logFile?: string;
}

/** Services in the process of the test, with times that no configuration allows; a router follows its sources. */
export async function startInProcess(options: InProcessOptions): Promise<InProcess> {
  const parsed = parseConfig(options.config, Object.values(targetSchemas) as never);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { dispatcher } = parsed.config;
  const config: Config = {
    ...parsed.config,
    dispatcher: { ...dispatcher, graceTime: 1_000, lockTime: options.lockTimeMs ?? dispatcher.lockTime },
  };
  const { logFile: file } = options;
  const log = createLogger('test', { level: file === undefined ? 'fatal' : 'info', format: 'json', file });
  const redis = connectRedis(config.redis, 'test', log);
  const wanted = options.services ?? ['router', 'dispatcher'];
  const services: RunningService[] = [];
  if (wanted.includes('dispatcher')) {
    const { circuitPauses } = options;
    services.push(
      await startDispatcher({ config, redis, log, metrics: createMetrics(), ...(circuitPauses && { circuitPauses }) }),
    );
  }
  if (wanted.includes('router')) {
    services.push(await startRouter({ config, redis, log, metrics: createMetrics() }));
    // What is uploaded before its sources are followed would be old.
    const feeds = Object.keys(config.sources).map((name) => `${config.redis.prefix}:feed:${name}`);
    await waitFor(async () => (await redis.mget(feeds)).every((state) => state !== null), {
      message: 'the sources to be followed',
    });
  }
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

export interface FollowingServices extends InProcess {
  /** What they have logged, as lines of JSON. */
  output(): string;
}

/**
 * Router and dispatcher in the process of the test, with their log: for tests that neither kill them nor use their HTTP API.
 * Far cheaper than separate processes (`startDispatch`).
 */
export async function startFollowing(options: InProcessOptions): Promise<FollowingServices> {
  const stack = new AsyncDisposableStack();
  try {
    const folder = stack.use(await tempFolder('in-process'));
    const logFile = join(folder.path, 'log');
    const output = (): string => readFileSync(logFile, 'utf8');
    const running = stack.use(await startInProcess({ ...options, logFile }));
    const all = stack.move();
    return { ...running, output, [Symbol.asyncDispose]: () => all.disposeAsync() };
  } finally {
    await stack.disposeAsync();
  }
}
