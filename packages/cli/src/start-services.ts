import { flushCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import type { Config } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import type { RouterOptions } from '@dicom-dispatch/router';
import {
  addressOf,
  createLogger,
  createMetrics,
  endInTime,
  RedisWatch,
  reportUnusable,
  startHealthServer,
  startTelemetry,
  useRedisTime,
  watchCertificates,
  type ConfigurationStore,
  type Logger,
  type PublicFinding,
  type Redis,
  type RedisPlace,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import manifest from '../package.json' with { type: 'json' };
import { CommandError, exitCodes } from './exit.ts';
import { connectPlace, embeddedRedis, prepareFormat, untilFit } from './open-redis.ts';

export type ServiceName = 'router' | 'dispatcher' | 'console';

/** Services are loaded when they are started: a process that runs only one saves the memory for the others. */
const start = {
  dispatcher: async (options: StartOptions) => (await import('@dicom-dispatch/dispatcher')).startDispatcher(options),
  router: async (options: StartOptions) => (await import('@dicom-dispatch/router')).startRouter(options),
} as const;

interface StartOptions {
  readonly config: Config;
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
  readonly watch: RedisWatch;
  readonly notes?: RouterNotes;
}

type RouterNotes = NonNullable<RouterOptions['notes']>;

export interface RunningServices {
  /** The address of the console or of the health server. */
  readonly url: string;
  /** Where its Redis is. */
  readonly redis: RedisPlace;
  /** The connection of its services. */
  readonly connection: Redis;
  readonly log: Logger;
  readonly watch: RedisWatch;
  /** Running services, and `start` until all services have started. */
  services(): readonly RunningService[];
  /** Services started from now on use this configuration. */
  applied(config: Config): void;
  /** Rejects when the services cannot continue. */
  readonly failed: Promise<never>;
  /** Ends all services, including starting ones. Does not wait longer for those that do not end in time, but logs their names. */
  stop(): Promise<void>;
}

type Part = 'router' | 'dispatcher' | 'front' | 'redis' | 'telemetry';

/** Longer than the limit of a console for its parts. */
const endOfFrontMs = 8_000;
/** The embedded Redis has 10 s to write its data, and is killed then. */
const endOfRedisMs = 13_000;

/** Maximum time until stopped services have ended, in milliseconds. */
export function endOfServicesMs({ dispatcher }: Config, names: readonly ServiceName[]): number {
  return names.includes('dispatcher') ? dispatcher.graceTime + 25_000 : 12_000;
}

export interface StartOfServices {
  /** A file that gets the log instead of standard output. */
  readonly logFile?: string;
  /** Aborts the start; parts that have started are ended. */
  readonly signal?: AbortSignal;
  /** Location of the configuration, for the console. */
  readonly configuration?: ConfigurationStore;
}

/**
 * Starts services of one configuration in this process. Health is served first, so that it shows what is still
 * missing; work begins when Redis is available and suitable.
 *
 * @throws CommandError if this configuration cannot run in this way
 * @throws the reason of `signal`
 */
export async function startServices(
  given: Config,
  names: readonly ServiceName[],
  { logFile, signal = new AbortController().signal, configuration }: StartOfServices = {},
): Promise<RunningServices> {
  let config = given;
  const isWhole = names.length > 1;
  const log = createLogger(isWhole ? 'dispatch' : (names[0] ?? 'dispatch'), {
    ...config.logging,
    ...(logFile !== undefined && { file: logFile }),
  });
  const stopping = new AbortController();
  const isOver = AbortSignal.any([signal, stopping.signal]);
  const metrics = createMetrics(manifest.version);
  const services: RunningService[] = [];
  /** How each part is ended; the order is that of {@link stop}. */
  const ends: Partial<Record<Part, () => Promise<void>>> = {};
  let rest: Promise<void> = Promise.resolve();
  const options = (name: ServiceName): StartOptions => ({
    config,
    redis,
    metrics,
    watch,
    ...(notes && { notes }),
    log: isWhole ? log.child({ part: name }) : log,
  });

  let place: RedisPlace;
  let redis: Redis;
  let watch: RedisWatch;
  let certificates: ReturnType<typeof watchCertificates>;
  let notes: RouterNotes | undefined;
  let url: string;
  try {
    const telemetry = await startTelemetry(names.join('-'));
    if (telemetry) ends.telemetry = () => telemetry.stop();
    const embedded = await embeddedRedis(config, isWhole, log, isOver);
    if (embedded) ends.redis = () => embedded.stop();
    place = embedded?.url ?? config.redis;
    redis = connectPlace(place, names.join('-'), log);
    notes = names.includes('router') ? await readNotes(config, place) : undefined;
    watch = new RedisWatch({
      redis,
      prefix: config.redis.prefix,
      services: names,
      log,
      known: notes?.known?.generation,
    });
    certificates = watchCertificates(() => config, watch);
    const restoreTime = useRedisTime(watch.clock);
    ends.redis = async () => {
      certificates.stop();
      await watch.stop();
      restoreTime();
      redis.disconnect();
      await embedded?.stop();
    };
    url = await startFront();
    signal.throwIfAborted();
  } catch (error) {
    await stop();
    throw error;
  }
  const started = new AbortController();
  void reportUnusable(redis, log, AbortSignal.any([isOver, started.signal]));
  rest = startRest().finally(() => started.abort());
  const failed = rest.then(() => new Promise<never>(() => {}));
  failed.catch(() => {});
  return {
    url,
    redis: place,
    connection: redis,
    log,
    watch,
    services: () => services,
    applied(next) {
      config = next;
      void certificates.look();
    },
    failed,
    stop,
  };

  async function stop(): Promise<void> {
    stopping.abort(new Error('the services are stopping'));
    // The start ends, complete or not: everything that has started is ended below.
    await endInTime(log, { start: () => rest.catch(() => {}) });
    // Services that accept work stop first; the console responds until they have ended. A dispatcher has its own timeouts.
    await endInTime(log, pick('router', 'dispatcher'), endOfServicesMs(config, names));
    await endInTime(log, pick('front'), endOfFrontMs);
    await endInTime(log, pick('redis', 'telemetry'), endOfRedisMs);
  }

  function pick(...parts: readonly Part[]): Record<string, () => Promise<void>> {
    return Object.fromEntries(parts.flatMap((part) => (ends[part] ? [[part, ends[part]]] : [])));
  }

  async function startFront(): Promise<string> {
    if (names.includes('console')) {
      const { startConsole } = await import('@dicom-dispatch/console');
      const console = await startConsole({
        ...options('console'),
        services: () => services,
        ...(configuration && { configuration }),
      });
      services.push(console);
      ends.front = () => console.stop();
      return console.url;
    }
    const listen = names[0] === 'router' ? config.health.router : config.health.dispatcher;
    const health = await startHealthServer(listen, {
      services: () => services,
      metrics,
      findings: findingsOf(() => config, redis),
    }).catch((error: NodeJS.ErrnoException) => {
      throw new CommandError(
        `health.${names[0]}: cannot listen on ${listen} (${error.code}): configure another address, or port 0 for any free one`,
        exitCodes.failed,
        { cause: error },
      );
    });
    log.info({ url: health.url }, 'health and metrics endpoint started');
    ends.front = () => health.stop();
    return health.url;
  }

  async function startRest(): Promise<void> {
    let isFit = false;
    services.push({
      name: 'start',
      dependencies: async () => [{ name: 'redis', ok: false, detail: isFit ? 'starting' : 'waiting for Redis' }],
      stop: async () => {},
    });
    await untilFit(redis, log, isOver);
    await prepareFormat(redis, config.redis.prefix, log);
    isFit = true;
    for (const name of ['dispatcher', 'router'] as const) {
      if (!names.includes(name) || isOver.aborted) continue;
      const serviceOptions = options(name);
      const service = await start[name](serviceOptions);
      services.push(service);
      ends[name] = () => service.stop();
      // The configuration was reloaded while the service started.
      if (serviceOptions.config !== config) await service.reload?.(config);
    }
    // Only now: until all services have started, `start` makes /readyz report that the process is not ready.
    services.splice(
      services.findIndex(({ name }) => name === 'start'),
      1,
    );
    // Now, since a killed process would not write the compiled code, which makes the next start faster.
    flushCompileCache();
  }
}

const findingsKeptMs = 5_000;

/** Public findings of the complete system; read at most every few seconds, and only on request. */
function findingsOf(config: () => Config, redis: Redis): () => Promise<readonly PublicFinding[]> {
  let context: PipelineContext | undefined;
  let last: { readonly at: number; readonly findings: Promise<readonly PublicFinding[]> } | undefined;
  return () => {
    if (!last || performance.now() - last.at > findingsKeptMs) last = { at: performance.now(), findings: read() };
    return last.findings;
  };

  async function read(): Promise<readonly PublicFinding[]> {
    const { publicFinding, readHealth } = await import('@dicom-dispatch/operations/health');
    const { openPipeline } = await import('@dicom-dispatch/pipeline');
    context ??= openPipeline(config, redis);
    return (await readHealth(context)).map(publicFinding);
  }
}

/** Notes of a previous router process about this Redis. */
async function readNotes({ redis }: Config, place: RedisPlace): Promise<RouterNotes> {
  const { NotesFile } = await import('@dicom-dispatch/router');
  const folder = resolve(redis.notesFolder ?? join(redis.dataFolder, 'recovery'));
  const file = new NotesFile({ folder, prefix: redis.prefix, redis: addressOf(place) });
  return { file, known: await file.read() };
}
