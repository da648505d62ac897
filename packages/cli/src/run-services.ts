import { resolve } from 'node:path';
import { endInTime, keepConfiguration } from '@dicom-dispatch/runtime';
import { endByForce, lingerMs } from './end-by-force.ts';
import { exitCodes } from './exit.ts';
import { makeFirstConfig, type FirstStart } from './first-start.ts';
import { configurationStore, readConfig } from './read-config.ts';
import { endOfServicesMs, startServices, type RunningServices, type ServiceName } from './start-services.ts';

/**
 * Runs services in this process until SIGTERM or SIGINT, which may come while they start; a second signal ends it at once.
 * What does not end in time is left behind, and the process ended by force, which is an end with `exitCodes.failed`.
 *
 * @param first - a file that is not there is made by a page first
 */
export async function runServices(
  file: string,
  names: readonly ServiceName[],
  { first }: { readonly first?: FirstStart } = {},
): Promise<void> {
  const store = configurationStore(file);
  const signal = stopSignal();
  if (first && !(await makeFirstConfig(store, first, signal))) return;
  const config = await readConfig(file);
  let running: RunningServices;
  try {
    running = await startServices(config, names, { signal, configuration: store });
  } catch (error) {
    endByForce(lingerMs, 'the start was stopped, but something keeps the process running');
    if (signal.aborted) return;
    throw error;
  }
  const { services, connection, log, failed } = running;
  let current = config;
  const keeper = keepConfiguration({
    file: resolve(file),
    read: (candidate) => readConfig(file, candidate),
    versions: store.versions,
    config,
    services,
    applied(next) {
      current = next;
      running.applied(next);
    },
    redis: connection,
    log,
  });
  process.on('SIGHUP', () => void keeper.reload('SIGHUP'));
  try {
    await Promise.race([untilAborted(signal), failed]);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    // Above all that the parts allow themselves: for what nobody thought of.
    endByForce(endOfServicesMs(current, names), 'a stopped part did not end', log);
    await endInTime(log, { 'a reload': () => keeper.stop() });
    await running.stop();
    endByForce(lingerMs, 'an unfinished task keeps the process running', log);
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
