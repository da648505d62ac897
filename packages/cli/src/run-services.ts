import { flushCompileCache } from 'node:module';
import { resolve } from 'node:path';
import type { Config } from '@dicom-dispatch/core';
import {
  checkRedis,
  connectRedis,
  createLogger,
  createMetrics,
  keepConfiguration,
  namesRedis,
  RedisPlaceError,
  startEmbeddedRedis,
  startHealthServer,
  startTelemetry,
  type EmbeddedRedis,
  type Logger,
  type Redis,
  type RedisPlace,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import { CommandError, exitCodes } from './exit.ts';
import { readConfig } from './read-config.ts';

export type ServiceName = 'router' | 'dispatcher' | 'console';

/** Loaded when they are started: a process that runs one service has no memory for the others. */
const start = {
  dispatcher: async (options: StartOptions) => (await import('@dicom-dispatch/dispatcher')).startDispatcher(options),
  router: async (options: StartOptions) => (await import('@dicom-dispatch/router')).startRouter(options),
} as const;

interface StartOptions {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
}

/** Runs services in this process until SIGTERM or SIGINT; a second signal ends it at once. */
export async function runServices(file: string, names: readonly ServiceName[]): Promise<void> {
  const config = await readConfig(file);
  const stopped = untilSignal();
  const running = await startServices(config, names);
  const { services, applied, connection, log } = running;
  const keeper = keepConfiguration({
    file: resolve(file),
    read: () => readConfig(file),
    config,
    services,
    applied,
    redis: connection,
    log,
  });
  process.on('SIGHUP', () => void keeper.reload('SIGHUP'));
  await Promise.race([stopped, running.failed]);
  await keeper.stop();
  await running.stop();
}

export interface RunningServices {
  /** The address of the console or of the health server. */
  readonly url: string;
  /** Where its Redis is. */
  readonly redis: RedisPlace;
  /** The connection of its services. */
  readonly connection: Redis;
  readonly log: Logger;
  /** Those that run by now. */
  services(): readonly RunningService[];
  /** What starts from now on goes by this configuration. */
  applied(config: Config): void;
  /** Rejects when the services cannot go on. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

/**
 * Starts services of one configuration in this process. Health is served first, so that what is still missing can be
 * read there; work begins when Redis is there and fit for it.
 *
 * @throws CommandError when this configuration cannot run like that
 */
export async function startServices(
  given: Config,
  names: readonly ServiceName[],
  logFile?: string,
): Promise<RunningServices> {
  let config = given;
  const isWhole = names.length > 1;
  const log = createLogger(isWhole ? 'dispatch' : (names[0] ?? 'dispatch'), {
    ...config.logging,
    ...(logFile !== undefined && { file: logFile }),
  });
  const telemetry = await startTelemetry(names.join('-'));
  const embedded = await embeddedRedis(config, isWhole, log);
  const place = embedded?.url ?? config.redis;
  const redis = connect(place, names.join('-'), log);
  const metrics = createMetrics();
  const services: RunningService[] = [];
  const stops: (() => Promise<void>)[] = [];
  const stopping = new AbortController();
  const options = (name: ServiceName): StartOptions => ({
    config,
    redis,
    metrics,
    log: isWhole ? log.child({ part: name }) : log,
  });

  const url = await startFront();
  const failed = startRest().then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  return {
    url,
    redis: place,
    connection: redis,
    log,
    services: () => services,
    applied: (next) => void (config = next),
    failed,
    async stop() {
      stopping.abort();
      // What takes work in stops first; the console answers to the last.
      for (const stop of stops.reverse()) await stop();
      redis.disconnect();
      await embedded?.stop();
      await telemetry?.stop();
    },
  };

  async function startFront(): Promise<string> {
    if (names.includes('console')) {
      const { startConsole } = await import('@dicom-dispatch/console');
      const console = await startConsole({ ...options('console'), services: () => services });
      services.push(console);
      stops.push(() => console.stop());
      return console.url;
    }
    const listen = names[0] === 'router' ? config.health.router : config.health.dispatcher;
    const health = await startHealthServer(listen, () => services, metrics).catch((error: NodeJS.ErrnoException) => {
      throw new CommandError(
        `health.${names[0]}: cannot listen on ${listen} (${error.code}): configure another address`,
        exitCodes.failed,
        { cause: error },
      );
    });
    log.info({ url: health.url }, 'health and metrics are served');
    stops.push(() => health.stop());
    return health.url;
  }

  async function startRest(): Promise<void> {
    services.push({
      name: 'start',
      dependencies: async () => [{ name: 'redis', ok: false, detail: 'waiting for Redis' }],
      stop: async () => {},
    });
    await untilFit(redis, log, stopping.signal);
    services.splice(
      services.findIndex(({ name }) => name === 'start'),
      1,
    );
    for (const name of ['dispatcher', 'router'] as const) {
      if (!names.includes(name) || stopping.signal.aborted) continue;
      const setting = options(name);
      const service = await start[name](setting);
      services.push(service);
      // Read again while it started.
      if (setting.config !== config) await service.reload?.(config);
      stops.push(() => service.stop());
    }
    // Now rather than at an end in good order, which not every process sees: the next start finds what this one compiled.
    flushCompileCache();
  }
}

async function embeddedRedis(config: Config, isWhole: boolean, log: Logger): Promise<EmbeddedRedis | undefined> {
  if (namesRedis(config.redis)) return undefined;
  if (!isWhole) {
    throw new CommandError(
      'redis.url is not set, nor redis.sentinel or redis.cluster: services that run one by one share a Redis, so name it',
      exitCodes.usage,
    );
  }
  const embedded = await startEmbeddedRedis(config.redis.dataFolder);
  log.info({ folder: config.redis.dataFolder }, 'a Redis of our own is running');
  return embedded;
}

function connect(place: RedisPlace, name: string, log: Logger): Redis {
  try {
    return connectRedis(place, name, log);
  } catch (error) {
    if (error instanceof RedisPlaceError) throw new CommandError(error.message, exitCodes.usage, { cause: error });
    throw error;
  }
}

/** Waits for Redis, however long it takes, and refuses one that would lose what it is given. */
async function untilFit(redis: Redis, log: Logger, signal: AbortSignal): Promise<void> {
  await untilReady(redis, signal);
  await check(redis, log);
  // After a failover another server answers, which may be set up otherwise.
  redis.on('ready', () => {
    void check(redis, log).catch((error: Error) =>
      log.error({ reason: error.message }, 'Redis is not fit for its work'),
    );
  });
}

async function check(redis: Redis, log: Logger): Promise<void> {
  for (const { severity, message } of await checkRedis(redis)) {
    if (severity === 'refused') throw new CommandError(`Redis cannot be used: ${message}`);
    log.warn({ finding: message }, 'Redis is not set up as it should be');
  }
}

/** Errors on the way do not count: the connection is tried until it is there. */
function untilReady(redis: Redis, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (redis.status === 'ready') resolve();
    redis.once('ready', resolve);
    signal.addEventListener('abort', () => reject(new CommandError('stopped before Redis was there')), { once: true });
  });
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    let signals = 0;
    const onSignal = (): void => {
      signals += 1;
      if (signals > 1) process.exit(exitCodes.interrupted);
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
