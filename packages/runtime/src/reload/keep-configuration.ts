import { unwatchFile, watchFile } from 'node:fs';
import { hostname } from 'node:os';
import { fingerprint, type Config } from '@dicom-dispatch/core';
import { ConfigError } from '../config/config-error.ts';
import type { Logger } from '../logging/create-logger.ts';
import type { RunningService } from '../process/dependency.ts';
import type { Redis } from '../redis/connect-redis.ts';
import type { ConfigurationStore } from '../store/configuration-store.ts';
import type { RedisWatch } from '../watch/watch-redis.ts';
import { applyConfig } from './apply-config.ts';
import { movedTargets } from './moved-targets.ts';
import { listenForReloads } from './listen-for-reloads.ts';
import type { ReloadAnswer } from './reload-messages.ts';
import { refusedChanges, restartNeeded } from './restart-needed.ts';

export interface KeeperOptions {
  /** Location of the configuration. Applied versions are recorded there: a manual edit was not recorded before. */
  readonly store: Pick<ConfigurationStore, 'path' | 'current' | 'versions' | 'load'>;
  readonly config: Config;
  /** The services of this process that run now. */
  services(): readonly RunningService[];
  /** Called when another configuration is in use. */
  applied(config: Config): void;
  readonly redis: Redis;
  readonly log: Logger;
  /**
   * Reports when Redis has lost data; required if the configuration is stored there. It also receives whether the
   * newest configuration was refused.
   */
  readonly watch?: Pick<RedisWatch, 'listen' | 'note'> | undefined;
  /**
   * How long a checked candidate waits for the message to apply it; then the configuration is read again. Default a
   * minute.
   */
  readonly givenUpMs?: number;
  /** Interval for comparing the file with the configuration in use. Default a minute. */
  readonly compareMs?: number;
}

export interface ConfigurationKeeper {
  /** Reads the file again and applies it, if it can be used; otherwise logs the reason. */
  reload(cause: string): Promise<ReloadAnswer>;
  stop(): Promise<void>;
}

const givenUpMs = 60_000;
const compareMs = 60_000;
/** Interval for checking a watched file. */
const lookMs = 1_000;

interface Prepared {
  readonly config: Config;
  readonly givenUp: NodeJS.Timeout;
}

/**
 * Keeps the services of a process at the current configuration file: reads it again on request (`reload`), when it changes
 * (if `reload.watch` is on), and on a message over Redis. An invalid file changes nothing.
 */
export function keepConfiguration(options: KeeperOptions): ConfigurationKeeper {
  const { store, log, redis } = options;
  const file = store.path;
  let current = options.config;
  let watched: { stop(): void } | undefined;
  // One at a time: each step compares a configuration with the one in use.
  let last: Promise<unknown> = Promise.resolve();
  const serially = <T>(act: () => Promise<T>): Promise<T> => {
    const result = last.then(act, act);
    last = result.catch(() => {});
    return result;
  };
  const prepared = new Map<string, Prepared>();
  let refusedSince: number | undefined;
  let differsSince: number | undefined;
  const listener = listenForReloads(
    redis,
    current.redis.prefix,
    log,
    {
      check: (id, candidate) => serially(() => check(id, candidate)),
      apply: (id) => serially(() => applyPrepared(id)),
      forget: (id) => void take(id),
      missed: () => void serially(catchUp),
    },
    options.givenUpMs ?? givenUpMs,
    store.current.kind === 'redis',
  );
  const lookAgain = (): void => void serially(catchUp);
  const unlisten = store.current.kind === 'redis' && options.watch?.listen({ lost: lookAgain, recovered: lookAgain });
  watch();
  // Not in Redis: there, each change is announced to all processes.
  const comparing =
    store.current.kind === 'file'
      ? setInterval(() => void serially(compare), options.compareMs ?? compareMs).unref()
      : undefined;
  void serially(() => noteVersion('as it was at the start'));

  return {
    reload: (cause) => serially(() => reload(cause)),
    async stop() {
      watched?.stop();
      clearInterval(comparing);
      listener.stop();
      if (unlisten) unlisten();
      for (const id of prepared.keys()) take(id);
      await last;
    },
  };

  async function reload(cause: string): Promise<ReloadAnswer> {
    log.info({ file, cause }, 'the configuration is read again');
    const next = await read();
    return Array.isArray(next) ? refusedNewest(next) : apply(next, cause);
  }

  /** Applies a version whose message was missed; usually it is already in use. */
  async function catchUp(): Promise<void> {
    const next = await read();
    if (Array.isArray(next)) refusedNewest(next);
    else if (isInUse(next)) {
      noteRefusal(false);
      await remember();
    } else await apply(next, 'a reload request that was missed');
  }

  /** Reports a file that was edited, and not loaded. */
  async function compare(): Promise<void> {
    const next = await read();
    noteDifference(Array.isArray(next) || !isInUse(next));
  }

  async function check(id: string, candidate: boolean): Promise<ReloadAnswer> {
    const next = await read(candidate ? id : undefined);
    // A refused candidate does not become the configuration.
    if (Array.isArray(next)) return candidate ? refused(next) : refusedNewest(next);
    // If the caller has crashed, before or after the candidate became the configuration, reading it shows which.
    const givenUp = setTimeout(() => {
      take(id);
      if (candidate) void serially(() => reload('a change whose end was not announced'));
    }, options.givenUpMs ?? givenUpMs);
    givenUp.unref();
    prepared.set(id, { config: next, givenUp });
    return answer(isInUse(next) ? 'unchanged' : 'ready', [], restartNeeded(current, next), await notesOn(next));
  }

  async function applyPrepared(id: string): Promise<ReloadAnswer> {
    const next = take(id);
    return next ? apply(next, 'a reload') : reload('a reload request that was not checked here');
  }

  function take(id: string): Config | undefined {
    const found = prepared.get(id);
    clearTimeout(found?.givenUp);
    prepared.delete(id);
    return found?.config;
  }

  /** Records the version in use. Nothing depends on this: an error is only logged. */
  async function noteVersion(reason: string): Promise<void> {
    // In Redis the step that creates a version also records it.
    if (store.current.remember) return remember();
    try {
      const { text } = await store.current.read();
      await store.versions.add({ text, author: 'the file', reason });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      log.info({ file, code }, 'the version of the configuration cannot be stored');
    }
  }

  /** Stores a copy of the current version, even if only comments have changed. */
  async function remember(): Promise<void> {
    await store.current.remember?.().catch((error: unknown) => {
      log.warn({ err: error }, 'no copy of the configuration can be stored on this host');
    });
  }

  /** The configuration in the file, or why it cannot be used. */
  async function read(candidate?: string): Promise<Config | string[]> {
    try {
      const next = await store.load(candidate);
      const refusals = refusedChanges(current, next);
      return refusals.length > 0 ? refusals : next;
    } catch (error) {
      if (error instanceof ConfigError) return error.format().split('\n');
      return [error instanceof Error ? error.message : 'the configuration cannot be read'];
    }
  }

  async function apply(next: Config, cause: string): Promise<ReloadAnswer> {
    if (isInUse(next)) {
      noteRefusal(false);
      await remember();
      await reread();
      return answer('unchanged', [], [], await notesOn(next));
    }
    const restart = restartNeeded(current, next);
    try {
      await applyConfig(options.services(), { before: current, after: next }, log);
    } catch (error) {
      return refusedNewest([error instanceof Error ? error.message : 'a service cannot use it']);
    }
    current = next;
    noteRefusal(false);
    options.applied(next);
    watch();
    await noteVersion(cause);
    log.info({ file, ...(restart.length > 0 && { restart }) }, 'the new configuration is in use');
    const notes = await notesOn(next);
    for (const note of notes) log.warn({ file, note }, 'a target was moved');
    return answer('applied', [], restart, notes);
  }

  async function reread(): Promise<void> {
    for (const service of options.services()) {
      try {
        await service.reread?.();
      } catch (error) {
        log.warn({ err: error, service: service.name }, 'limits set by operators could not be reset');
      }
    }
  }

  /** Targets that have moved. A reload does not fail if they cannot be read: each delivery checks again. */
  async function notesOn(next: Config): Promise<string[]> {
    return movedTargets(redis, next).catch(() => []);
  }

  function isInUse(next: Config): boolean {
    return fingerprint(next) === fingerprint(current);
  }

  /** Notes that the configuration itself, not a candidate, is refused. */
  function refusedNewest(reasons: readonly string[]): ReloadAnswer {
    noteRefusal(true);
    return refused(reasons);
  }

  function noteRefusal(isRefused: boolean): void {
    refusedSince = isRefused ? (refusedSince ?? Date.now()) : undefined;
    options.watch?.note({ configurationRefusedAt: refusedSince });
    if (!isRefused) noteDifference(false);
  }

  function noteDifference(isDifferent: boolean): void {
    differsSince = isDifferent ? (differsSince ?? Date.now()) : undefined;
    options.watch?.note({ configurationDiffersAt: differsSince });
  }

  function refused(reasons: readonly string[]): ReloadAnswer {
    log.error({ file, reasons }, 'the configuration is rejected; the previous one stays in use');
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

  /** By polling: a mounted file is often replaced through a link, which causes no file system event. */
  function watch(): void {
    watched?.stop();
    watched = undefined;
    if (!current.reload.watch) return;
    const changed = (): void => void serially(() => reload('the file has changed'));
    watchFile(file, { persistent: false, interval: lookMs }, changed);
    watched = { stop: () => unwatchFile(file, changed) };
  }
}
