import type { Config } from '@dicom-dispatch/core';
import { ConfigError, type LocatedProblem } from '../config/config-error.ts';
import { ConfigFile } from './config-file.ts';
import { SealKey, sealKeyPath } from './seal.ts';
import { ConfigVersions } from './versions.ts';

/** Where the configuration is kept, and how a text is checked before it is. */
export interface ConfigurationStore {
  readonly file: ConfigFile;
  readonly versions: ConfigVersions;
  readonly seal: SealKey;
  /** Checks a text as `config check` does. @throws ConfigError */
  check(text: string): Promise<Config>;
}

/** @param path - absolute path of the configuration file */
export function openConfigurationStore(
  path: string,
  check: (text: string) => Promise<Config>,
  env: Readonly<Record<string, string | undefined>>,
): ConfigurationStore {
  return {
    file: new ConfigFile(path),
    versions: new ConfigVersions(path),
    seal: new SealKey(sealKeyPath(path, env)),
    check,
  };
}

/** The configuration that a text says, or everything that is wrong with it. */
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
