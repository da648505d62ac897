import { unwatchFile, watchFile } from 'node:fs';
import { hostname } from 'node:os';
import { fingerprint, type Config } from '@dicom-dispatch/core';
import { ConfigError } from '../config/config-error.ts';
import type { Logger } from '../logging/create-logger.ts';
import type { RunningService } from '../process/dependency.ts';
import type { Redis } from '../redis/connect-redis.ts';
import { applyConfig } from './apply-config.ts';
import { movedTargets } from './moved-targets.ts';
import { listenForReloads } from './listen-for-reloads.ts';
import type { ReloadAnswer } from './reload-messages.ts';
import { refusedChanges, restartNeeded } from './restart-needed.ts';

export interface KeeperOptions {
  readonly file: string;
  /** Reads and checks the file. @throws ConfigError */
  read(): Promise<Config>;
  readonly config: Config;
  /** The services of this process that run now. */
  services(): readonly RunningService[];
  /** Told when another configuration is in use. */
  applied(config: Config): void;
  readonly redis: Redis;
  readonly log: Logger;
}

export interface ConfigurationKeeper {
  /** Reads the file again and applies it, if it can be used; says so in the log otherwise. */
  reload(cause: string): Promise<ReloadAnswer>;
  stop(): Promise<void>;
}

/**
 * Keeps the services of a process by their configuration file: reads it again when told (`reload`), when it changes
 * (where `reload.watch` is on), and when somebody calls for it over Redis. A file that cannot be used changes nothing.
 */
export function keepConfiguration(options: KeeperOptions): ConfigurationKeeper {
  const { file, log, redis } = options;
  let current = options.config;
  let watched: { stop(): void } | undefined;
  // One after the other: what is applied was compared with what is in use.
  let last: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(act: () => Promise<T>): Promise<T> => {
    const turn = last.then(act, act);
    last = turn.catch(() => {});
    return turn;
  };
  const prepared = new Map<string, Config>();
  const listener = listenForReloads(redis, current.redis.prefix, log, {
    check: (id) => inTurn(() => check(id)),
    apply: (id) => inTurn(() => applyPrepared(id)),
    forget: (id) => void prepared.delete(id),
    missed: () => void inTurn(() => reload('a call that was missed')),
  });
  watch();

  return {
    reload: (cause) => inTurn(() => reload(cause)),
    async stop() {
      watched?.stop();
      listener.stop();
      await last;
    },
  };

  async function reload(cause: string): Promise<ReloadAnswer> {
    log.info({ file, cause }, 'the configuration is read again');
    const next = await read();
    return Array.isArray(next) ? refused(next) : apply(next);
  }

  async function check(id: string): Promise<ReloadAnswer> {
    const next = await read();
    if (Array.isArray(next)) return refused(next);
    // Calls that were given up are not kept for ever.
    if (prepared.size > 20) prepared.clear();
    prepared.set(id, next);
    return answer(isInUse(next) ? 'unchanged' : 'ready', [], restartNeeded(current, next), await notesOn(next));
  }

  async function applyPrepared(id: string): Promise<ReloadAnswer> {
    const next = prepared.get(id);
    prepared.delete(id);
    return next ? apply(next) : reload('a call that was not checked here');
  }

  /** The configuration in the file, or why it cannot be used. */
  async function read(): Promise<Config | string[]> {
    try {
      const next = await options.read();
      const refusals = refusedChanges(current, next);
      return refusals.length > 0 ? refusals : next;
    } catch (error) {
      if (error instanceof ConfigError) return error.format().split('\n');
      return [error instanceof Error ? error.message : 'the configuration cannot be read'];
    }
  }

  async function apply(next: Config): Promise<ReloadAnswer> {
    if (isInUse(next)) return answer('unchanged');
    const restart = restartNeeded(current, next);
    try {
      await applyConfig(options.services(), { before: current, after: next }, log);
    } catch (error) {
      return refused([error instanceof Error ? error.message : 'a service cannot go by it']);
    }
    current = next;
    options.applied(next);
    watch();
    log.info({ file, ...(restart.length > 0 && { restart }) }, 'the new configuration is in use');
    const notes = await notesOn(next);
    for (const note of notes) log.warn({ file, note }, 'a target was moved');
    return answer('applied', [], restart, notes);
  }

  /** A reload does not fail because they cannot be read: each delivery looks again. */
  async function notesOn(next: Config): Promise<string[]> {
    return movedTargets(redis, next).catch(() => []);
  }

  function isInUse(next: Config): boolean {
    return fingerprint(next) === fingerprint(current);
  }

  function refused(reasons: readonly string[]): ReloadAnswer {
    log.error({ file, reasons }, 'the configuration is refused; the former one stays in use');
    return answer('refused', reasons);
  }

  function answer(
    outcome: ReloadAnswer['outcome'],
    reasons: readonly string[] = [],
    restart: readonly string[] = [],
    notes: readonly string[] = [],
  ): ReloadAnswer {
    return {
      process: `${hostname()}-${process.pid}`,
      services: options.services().map(({ name }) => name),
      file,
      outcome,
      reasons: [...reasons],
      restart: [...restart],
      notes: [...notes],
    };
  }

  /** By asking again and again: a mounted file is often exchanged by way of a link, which no notice tells of. */
  function watch(): void {
    watched?.stop();
    watched = undefined;
    if (!current.reload.watch) return;
    const changed = (): void => void inTurn(() => reload('the file has changed'));
    watchFile(file, { persistent: false, interval: current.reload.interval }, changed);
    watched = { stop: () => unwatchFile(file, changed) };
  }
}
