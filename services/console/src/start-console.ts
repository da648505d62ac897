import { needsSignIn, type Config } from '@dicom-dispatch/core';
import { openPipeline } from '@dicom-dispatch/pipeline';
import {
  endInTime,
  isLoopback,
  parseListen,
  redisDependency,
  type Logger,
  type Redis,
  type Registry,
  type RunningService,
} from '@dicom-dispatch/runtime';
import { AuditLog } from './audit/audit-log.ts';
import { ConsoleError } from './console-error.ts';
import type { ConsoleContext } from './console-context.ts';
import { createServer, type ServedRoute } from './create-server.ts';
import { Changes } from './live/changes.ts';
import { addMetrics } from './metrics/add-metrics.ts';
import { startNotifier } from './notify/start-notifier.ts';
import { sessionCookieName } from './security/authenticate.ts';
import { Sessions } from './security/sessions.ts';
import { SourceLookup } from './source/source-lookup.ts';

export interface ConsoleOptions {
  readonly config: Config;
  /** Stays the caller's to close. */
  readonly redis: Redis;
  readonly log: Logger;
  readonly metrics: Registry;
  /** The services of this process, for `/readyz`. Default: the console alone. */
  readonly services?: () => readonly RunningService[];
}

export interface RunningConsole extends RunningService {
  /** Where it listens. */
  readonly url: string;
  /** Everything that it serves. */
  readonly routes: readonly ServedRoute[];
  /** Takes a new configuration over: targets, rules, users. Where it listens stays. */
  reload(config: Config): void;
}

/**
 * Starts the console: pages, API, Bull Board, health and metrics.
 *
 * @throws ConsoleError when it would listen off loopback without anybody having to sign in, or cannot listen
 */
export async function startConsole(options: ConsoleOptions): Promise<RunningConsole> {
  let { config } = options;
  const { redis, log, metrics } = options;
  const { host, port } = parseListen(config.console.listen);
  refuseOpenDoor(config, host);
  const isSecure = config.console.publicUrl?.startsWith('https:') ?? false;
  const operations = openPipeline(() => config, redis);
  const context: ConsoleContext = {
    config: () => config,
    redis,
    log,
    metrics,
    services: options.services ?? (() => [service]),
    operations,
    sessions: new Sessions(redis, config.redis.prefix, config.console.session),
    audit: new AuditLog(redis, config.redis.prefix, log),
    lookup: new SourceLookup(() => config),
    changes: new Changes(redis, operations.records.channel),
    cookieName: sessionCookieName(isSecure),
    isSecure,
  };
  const { server, refresh, routes } = await createServer(context);
  addMetrics(context);
  const url = await listen(() => server.listen({ host, port }), config.console.listen);
  log.info({ url }, 'console is ready');
  const notifier = startNotifier(context, () => config.console.publicUrl ?? url);
  const service: RunningConsole = {
    name: 'console',
    url,
    routes,
    dependencies: async () => [await redisDependency(redis)],
    reload(next) {
      refuseOpenDoor(next, host);
      config = next;
      refresh();
      void context.lookup.reset();
    },
    async stop() {
      await endInTime(log, { pages: () => server.close(), notifications: () => notifier.stop() });
      context.changes.stop();
      await endInTime(log, { sources: () => context.lookup.reset(), queues: () => operations.close() }, 2_000);
    },
  };
  return service;
}

function refuseOpenDoor(config: Config, host: string): void {
  if (isLoopback(host) || needsSignIn(config.console)) return;
  throw new ConsoleError(
    'open-door',
    `console.listen is ${config.console.listen}, which others can reach, but nobody would have to sign in: configure console.users, console.tokens or console.oidc, or listen on 127.0.0.1`,
  );
}

async function listen(start: () => Promise<string>, address: string): Promise<string> {
  try {
    return await start();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'the port is taken' : `it failed (${code ?? 'unknown'})`;
    throw new ConsoleError('cannot-listen', `console.listen is ${address}: ${why}; choose another`, { cause: error });
  }
}
