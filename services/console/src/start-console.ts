import { isLoopback, needsSignIn, type Config } from '@dicom-dispatch/core';
import { openPipeline } from '@dicom-dispatch/pipeline';
import {
  endInTime,
  parseListen,
  readBuild,
  redisDependency,
  RedisWatch,
  type ConfigurationStore,
  type Logger,
  type Redis,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import { AuditLog } from './audit/audit-log.ts';
import { startAuditForwarding } from './audit/forward/start-forwarding.ts';
import { QueryEvents } from './audit/query-events.ts';
import { RefusedEvents } from './audit/refused-events.ts';
import { ConsoleError } from './console-error.ts';
import type { ConsoleContext } from './console-context.ts';
import { createServer, type ServedRoute } from './create-server.ts';
import { FetchRunner } from './fetch/fetch-runner.ts';
import { Changes } from './live/changes.ts';
import { OpenAnswers } from './live/open-answers.ts';
import { addMetrics } from './metrics/add-metrics.ts';
import { shareHealth } from './health/share-health.ts';
import { startNotifier } from './notify/start-notifier.ts';
import { sessionCookieName } from './security/authenticate.ts';
import { ConsoleKeys } from './security/console-keys.ts';
import { KnownDevices } from './security/known-device.ts';
import { Sessions } from './security/sessions.ts';
import { SourceLookup } from './source/source-lookup.ts';

export interface ConsoleOptions {
  readonly config: Config;
  /** The connection of the process, which the caller closes. */
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
  /** Watches Redis for the whole process. Default: a separate one. */
  readonly watch?: RedisWatch;
  /** The services of this process, for `/readyz`. Default: the console alone. */
  readonly services?: () => readonly RunningService[];
  /** Location of the configuration. Default: it cannot be changed in the console. */
  readonly configuration?: ConfigurationStore;
}

export interface RunningConsole extends RunningService {
  /** URL at which it listens. */
  readonly url: string;
  /** All routes that it serves. */
  readonly routes: readonly ServedRoute[];
  /** Applies a new configuration: targets, rules, users. The listening address does not change. */
  reload(config: Config): void;
}

/**
 * Starts the console: pages, API, Bull Board, health and metrics.
 *
 * @throws ConsoleError if it cannot listen, or would listen on other addresses than loopback without a sign-in
 */
export async function startConsole(options: ConsoleOptions): Promise<RunningConsole> {
  let { config } = options;
  const { redis, log, metrics } = options;
  const { host, port } = parseListen(config.console.listen);
  refuseOpenDoor(config, host);
  const isSecure = config.console.publicUrl?.startsWith('https:') ?? false;
  const watch = options.watch ?? new RedisWatch({ redis, prefix: config.redis.prefix, services: ['console'], log });
  const operations = openPipeline(() => config, redis);
  const sessions = new Sessions(redis, config.redis.prefix, () => config.console);
  const keys = new ConsoleKeys(() => config.console);
  // Known once it listens.
  let url = '';
  const context: ConsoleContext = {
    config: () => config,
    redis,
    build: readBuild(),
    log,
    metrics,
    services: options.services ?? (() => [service]),
    consoleUrl: () => config.console.publicUrl ?? url,
    health: shareHealth(() => context),
    operations,
    keys,
    devices: new KnownDevices(keys, () => config.console, isSecure),
    sessions,
    audit: new AuditLog(redis, config.redis.prefix, log, () => config.console.audit),
    refused: new RefusedEvents(redis, config.redis.prefix, log, metrics),
    queries: new QueryEvents(redis, config.redis.prefix, keys, log),
    open: new OpenAnswers(redis, sessions.channel, log),
    lookup: new SourceLookup(() => config),
    changes: new Changes(redis, operations.records.channel),
    fetches: new FetchRunner(operations, log),
    configuration: options.configuration,
    cookieName: sessionCookieName(isSecure),
    isSecure,
  };
  const { server, refresh, routes } = await createServer(context);
  addMetrics(context);
  context.open.start();
  url = await listen(() => server.listen({ host, port }), config.console.listen);
  log.info({ url }, 'console is ready');
  const forwarding = startAuditForwarding(context);
  const notifier = startNotifier(context);
  const service: RunningConsole = {
    name: 'console',
    url,
    routes,
    dependencies: async () => [await redisDependency(redis), ...watch.dependencies()],
    reload(next) {
      refuseOpenDoor(next, host);
      config = next;
      refresh();
      void context.lookup.reset();
      void context.open.recheck();
    },
    async stop() {
      await endInTime(log, {
        pages: () => server.close(),
        notifications: () => notifier.stop(),
        audit: () => forwarding.stop(),
        fetches: () => context.fetches.stop(),
      });
      context.changes.stop();
      context.open.stop();
      await endInTime(log, { refused: () => context.refused.flush() }, 2_000);
      await endInTime(log, { sources: () => context.lookup.reset(), queues: () => operations.close() }, 2_000);
      if (!options.watch) await watch.stop();
    },
  };
  return service;
}

function refuseOpenDoor(config: Config, host: string): void {
  const { listen, publicUrl, trustProxy } = config.console;
  if (needsSignIn(config.console)) return;
  const open = !isLoopback(host)
    ? `console.listen is ${listen}, which is reachable from other hosts`
    : publicUrl !== undefined && !isLoopback(new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1'))
      ? `console.publicUrl is ${publicUrl}, which is reachable from other hosts`
      : trustProxy !== false
        ? 'console.trustProxy is set: the console is reachable through a proxy'
        : undefined;
  if (open === undefined) return;
  throw new ConsoleError(
    'open-door',
    `${open}, but no sign-in is required: configure console.users, console.tokens or console.oidc, or listen on 127.0.0.1 only`,
  );
}

async function listen(start: () => Promise<string>, address: string): Promise<string> {
  try {
    return await start();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'the port is already in use' : `it failed (${code ?? 'unknown'})`;
    throw new ConsoleError('cannot-listen', `console.listen is ${address}: ${why}; choose another address`, {
      cause: error,
    });
  }
}
