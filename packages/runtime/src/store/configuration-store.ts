import { join, resolve } from 'node:path';
import type { Config } from '@dicom-dispatch/core';
import { ConfigError, oneProblem, type LocatedProblem } from '../config/config-error.ts';
import { checkConfig, loadConfig, readText, type LoadOptions } from '../config/load-config.ts';
import { asLocalFile, type LocalFile } from '../config/local-file.ts';
import { parseText, type ParsedText } from '../config/parsed-text.ts';
import type { Logger } from '../logging/create-logger.ts';
import type { Redis } from '../redis/connect-redis.ts';
import { addressOf, namesRedis, type RedisPlace } from '../redis/redis-options.ts';
import { ConfigCopy } from './config-copy.ts';
import { ConfigFile } from './config-file.ts';
import type { CurrentConfig, VersionStore } from './current-config.ts';
import { RedisConfig } from './redis-config.ts';
import { RedisVersions } from './redis-versions.ts';
import { SealKey, sealKeyPath } from './seal.ts';
import { ConfigVersions } from './versions.ts';

/** Location of the configuration, and how a text is checked. */
export interface ConfigurationStore {
  /** The file of this machine: the configuration, or with `configuration: redis` the options to reach it. Absolute. */
  readonly path: string;
  readonly current: CurrentConfig;
  readonly versions: VersionStore;
  readonly seal: SealKey;
  /** Checks a text as `config check` does. @throws ConfigError */
  check(text: string): Promise<Config>;
  /** Reads and checks the current configuration, or the candidate of an id. @throws ConfigError */
  load(candidate?: string): Promise<Config>;
  /**
   * Data of this machine without Redis: the configuration of its file, or with `configuration: redis` the options to reach
   * it. @throws ConfigError
   */
  own(): Promise<Config>;
  /**
   * The configuration that this host used last, for a start while Redis does not respond; undefined without a copy.
   * @throws ConfigError
   */
  loadCopy(): Promise<Config | undefined>;
  close(): void;
}

export type StoreOptions = Omit<LoadOptions, 'candidate' | 'local'>;

/** The store of a configuration in a file. @param file - its path */
export function openFileStore(file: string, options: StoreOptions): ConfigurationStore {
  const path = resolve(file);
  return {
    path,
    current: new ConfigFile(path),
    versions: new ConfigVersions(path),
    seal: new SealKey(sealKeyPath(path, options.env)),
    check: (text) => checkConfig(path, text, options),
    load: (candidate) => loadConfig(path, { ...options, candidate }),
    own: () => loadConfig(path, options),
    loadCopy: async () => undefined,
    close: () => {},
  };
}

export interface RedisStoreOptions extends StoreOptions {
  /** Opens the Redis of the file. @throws errors that the caller of {@link openStore} expects */
  connect(config: Config): Promise<Redis> | Redis;
  /** Stores a copy on the disk of this host, and restores it into a Redis that has lost it: for services. */
  readonly copy?: { readonly log: (config: Config) => Logger };
  /** An unusable configuration in Redis counts as none, and is replaced by the next change: for an import. */
  readonly replacesUnusable?: boolean | undefined;
}

/**
 * Opens the configuration of a machine: its file, or Redis with `configuration: redis`.
 *
 * @throws ConfigError if the file cannot be used
 */
export async function openStore(file: string, options: RedisStoreOptions): Promise<ConfigurationStore> {
  const path = resolve(file);
  if (!(await isLocalFile(path))) return openFileStore(path, options);
  const own = await ownConfig(path, options);
  const { prefix } = own.redis;
  const redis = await options.connect(own);
  const key = new SealKey(sealKeyPath(path, options.env));
  const { copy: kept, replacesUnusable } = options;
  const copy =
    kept &&
    new ConfigCopy({
      folder: resolve(own.redis.notesFolder ?? join(own.redis.dataFolder, 'recovery')),
      prefix,
      redis: addressOf(own.redis as RedisPlace),
      key,
      log: kept.log(own),
    });
  const current = new RedisConfig({ redis, prefix, key, copy, replacesUnusable });
  const check = async (text: string): Promise<Config> =>
    checkConfig(path, text, { ...options, local: await needLocal(path) });
  return {
    path,
    current,
    versions: new RedisVersions({ redis, prefix, key }),
    seal: key,
    check,
    load: async (candidate) =>
      check(candidate === undefined ? (await current.read()).text : await current.candidate(candidate)),
    own: () => ownConfig(path, options),
    async loadCopy() {
      const known = await copy?.read();
      if (!known) return undefined;
      kept
        ?.log(own)
        .warn({ version: known.number }, 'Redis does not respond: starting with the configuration used last');
      return check(known.text);
    },
    close: () => redis.disconnect(),
  };
}

/** Whether a file refers to a configuration in Redis. Invalid YAML is reported when it is loaded. @throws ConfigError */
async function isLocalFile(path: string): Promise<boolean> {
  let parsed: ParsedText;
  try {
    parsed = parseText(path, await readText(path));
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
  return asLocalFile(parsed) !== undefined;
}

/** @throws ConfigError */
async function needLocal(path: string): Promise<LocalFile> {
  const local = asLocalFile(parseText(path, await readText(path)));
  if (local) return local;
  throw oneProblem(path, 'was redis when this process started: leave it, or restart the services of this host', [
    'configuration',
  ]);
}

/** Options of a host before Redis has responded: its own part, with defaults for all others. @throws ConfigError */
async function ownConfig(path: string, options: StoreOptions): Promise<Config> {
  const local = await needLocal(path);
  const own = await checkConfig(path, nothing, { ...options, local });
  if (namesRedis(own.redis)) return own;
  throw oneProblem(path, 'redis needs redis.url, redis.sentinel or redis.cluster: services on several hosts share it', [
    'configuration',
  ]);
}

const nothing = `sources: { none: { url: 'http://127.0.0.1:1' } }\ntargets: {}\n`;

/** The configuration of a text, or all its problems. */
export async function judgeText(
  store: Pick<ConfigurationStore, 'check'>,
  text: string,
): Promise<{ readonly config?: Config; readonly problems: readonly LocatedProblem[] }> {
  try {
    return { config: await store.check(text), problems: [] };
  } catch (error) {
    if (error instanceof ConfigError) return { problems: error.problems };
    throw error;
  }
}
