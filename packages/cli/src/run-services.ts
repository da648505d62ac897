import {
  connectRedis,
  createLogger,
  endInTime,
  keepConfiguration,
  type ConfigurationStore,
  type Logger,
} from '@dicom-dispatch/runtime';
import type { Config } from '@dicom-dispatch/core';
import { setTimeout as sleep } from 'node:timers/promises';
import { endByForce, lingerMs } from './end-by-force.ts';
import { exitCodes } from './exit.ts';
import { makeFirstConfig, type FirstStart } from './first-start.ts';
import { openConfiguration } from './read-config.ts';
import { endOfServicesMs, startServices, type RunningServices, type ServiceName } from './start-services.ts';

/**
 * Runs services in this process until SIGTERM or SIGINT, also during the start; a second signal ends it immediately. If parts do
 * not end in time, the process is ended by force, with `exitCodes.failed`.
 *
 * @param first - if set, a missing file is first created on a page
 * @param givenUpMs - how long to wait for the end of an unannounced change; default that of `keepConfiguration`
 */
export async function runServices(
  file: string,
  names: readonly ServiceName[],
  { first, givenUpMs }: { readonly first?: FirstStart; readonly givenUpMs?: number } = {},
): Promise<void> {
  const signal = stopSignal();
  if (first && !(await makeFirstConfig(file, first, signal))) return;
  const store = await openConfiguration(file, {
    connect: (own) => connectRedis(own.redis, 'configuration', loggerOf(own, names)),
    copy: { log: (own) => loggerOf(own, names) },
  });
  let config: Config;
  let running: RunningServices;
  try {
    config = await firstConfig(store, signal);
    running = await startServices(config, names, { signal, configuration: store });
  } catch (error) {
    store.close();
    endByForce(lingerMs, 'the start was stopped, but something keeps the process running');
    if (signal.aborted) return;
    throw error;
  }
  const { services, connection, log, failed } = running;
  let current = config;
  const keeper = keepConfiguration({
    store,
    watch: running.watch,
    config,
    services,
    applied(next) {
      current = next;
      running.applied(next);
    },
    redis: connection,
    log,
    ...(givenUpMs !== undefined && { givenUpMs }),
  });
  process.on('SIGHUP', () => void keeper.reload('SIGHUP'));
  try {
    await Promise.race([untilAborted(signal), failed]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    // Longer than the limits of all parts: for unexpected cases.
    endByForce(endOfServicesMs(current, names), 'a stopped part did not end', log);
    // First: a reload may wait for an unavailable Redis.
    store.close();
    await endInTime(log, { 'a reload': () => keeper.stop() });
    await running.stop();
    endByForce(lingerMs, 'an unfinished task keeps the process running', log);
  }
}

function loggerOf({ logging }: Config, names: readonly ServiceName[]): Logger {
  return createLogger(names.length > 1 ? 'dispatch' : (names[0] ?? 'dispatch'), logging);
}

/** How long to wait for the configuration in Redis before the copy on the disk is used. */
const answerWithinMs = 3_000;

/**
 * The initial configuration. If it is in a Redis that does not respond now, the last copy on this host is used; the configuration
 * is read again when Redis responds.
 *
 * @throws ConfigError
 * @throws the reason of `signal`
 */
async function firstConfig(store: ConfigurationStore, signal: AbortSignal): Promise<Config> {
  const loaded = store.load();
  if (store.current.kind === 'file') return loaded;
  const known = new AbortController();
  const late = async (): Promise<Config | undefined> => {
    await sleep(answerWithinMs, undefined, { signal: AbortSignal.any([signal, known.signal]) });
    return store.loadCopy();
  };
  loaded.catch(() => {});
  const stopped = untilAborted(signal).then((): never => signal.throwIfAborted() as never);
  try {
    return (await Promise.race([loaded, late(), stopped])) ?? (await Promise.race([loaded, stopped]));
  } finally {
    known.abort();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Aborted by the first SIGTERM or SIGINT. */
function stopSignal(): AbortSignal {
  const stopping = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) process.exit(exitCodes.interrupted);
    stopping.abort(new Error('the process received a stop signal'));
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return stopping.signal;
}
