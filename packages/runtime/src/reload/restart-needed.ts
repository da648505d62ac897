import { fingerprint, type Config } from '@dicom-dispatch/core';

/**
 * Why a running process cannot use another configuration; empty if it can. With another Redis or prefix it would have
 * other data.
 */
export function refusedChanges(before: Config, after: Config): string[] {
  if (before.configuration !== after.configuration)
    return ['configuration: cannot be changed while the services run: leave it as it was, or restart all of them'];
  return fingerprint(before.redis) === fingerprint(after.redis)
    ? []
    : ['redis: cannot be changed while the services run: leave it as it was, or restart all of them'];
}

/** Changed options that take effect at the next start. */
export function restartNeeded(before: Config, after: Config): string[] {
  const parts = (config: Config): Readonly<Record<string, unknown>> => ({
    'console.listen': config.console.listen,
    // The cookies of a console are made for https or for http.
    'console.publicUrl': config.console.publicUrl?.startsWith('https:') ?? false,
    health: config.health,
    logging: config.logging,
    'dispatcher.lockTime': config.dispatcher.lockTime,
  });
  const [old, now] = [parts(before), parts(after)];
  return Object.keys(now).filter((name) => fingerprint(old[name]) !== fingerprint(now[name]));
}
