import { resolve } from 'node:path';
import type { Config, TargetSchema } from '@dicom-dispatch/core';
import {
  checkConfig,
  loadConfig,
  openConfigurationStore,
  type ConfigurationStore,
  type LoadOptions,
} from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';

/** The schemas of all target types that a configuration may use. */
export const knownTargetSchemas: readonly TargetSchema[] = Object.values(targetSchemas) as unknown as TargetSchema[];

/** Reads and checks a configuration file with all target types. @throws ConfigError */
export function readConfig(file: string, candidate?: string): Promise<Config> {
  return loadConfig(file, loadOptions(candidate));
}

/** Where the configuration of a file is kept, with its versions. */
export function configurationStore(file: string): ConfigurationStore {
  const path = resolve(file);
  return openConfigurationStore(path, (text) => checkConfig(path, text, loadOptions()), process.env);
}

function loadOptions(candidate?: string): LoadOptions {
  return {
    candidate,
    targetSchemas: knownTargetSchemas,
    env: process.env,
    external: {
      accepts: (type) => type.startsWith('package:'),
      async adopt(name, options, folder) {
        const { adoptTarget } = await import('@dicom-dispatch/targets');
        return adoptTarget(name, options, folder);
      },
    },
  };
}
