import { fingerprint, type Config } from '@dicom-dispatch/core';

/** Options that a process cannot change while it runs: with another Redis or prefix its work would be elsewhere. */
export function refusedChanges(before: Config, after: Config): string[] {
  if (before.configuration !== after.configuration)
    return ['configuration: cannot be changed while the services run: leave it as it was, or restart all of them'];
  return fingerprint(before.redis) === fingerprint(after.redis)
    ? []
    : ['redis: cannot be changed while the services run: leave it as it was, or restart all of them'];
}

/** Settings that were changed, and that count from the next start on. */
export function restartNeeded(before: Config, after: Config): string[] {
  const parts = (config: Config): Readonly<Record<string, unknown>> => ({
    'console.listen': config.console.listen,
    health: config.health,
    logging: config.logging,
    'dispatcher.lockTime': config.dispatcher.lockTime,
  });
  const [old, now] = [parts(before), parts(after)];
  return Object.keys(now).filter((name) => fingerprint(old[name]) !== fingerprint(now[name]));
}
