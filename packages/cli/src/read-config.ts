import { resolve } from 'node:path';
import type { Config, TargetSchema } from '@dicom-dispatch/core';
import {
  addressOf,
  openRedis,
  openStore,
  RedisPlaceError,
  type ConfigurationStore,
  type Redis,
  type RedisPlace,
  type RedisStoreOptions,
} from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { CommandError, exitCodes } from './exit.ts';

/** The schemas of all target types that a configuration may use. */
export const knownTargetSchemas: readonly TargetSchema[] = Object.values(targetSchemas) as unknown as TargetSchema[];

const connectWithinMs = 5_000;

/**
 * Reads and checks the configuration of a machine with all target types: its file, or with `configuration: redis` that of Redis.
 *
 * @throws ConfigError
 * @throws CommandError if it is in Redis, and Redis does not respond
 */
export async function readConfig(file: string): Promise<Config> {
  return withStore(file, (store) => store.load());
}

/** Runs a function with the store of the configuration of a machine and its versions. @throws as {@link readConfig} */
export async function withStore<T>(
  file: string,
  act: (store: ConfigurationStore) => Promise<T>,
  options: Pick<RedisStoreOptions, 'replacesUnusable'> = {},
): Promise<T> {
  const store = await openConfiguration(file, { ...options, connect: ({ redis }) => connectNow(redis) });
  try {
    return await act(store);
  } finally {
    store.close();
  }
}

/** Opens the configuration of a machine. @throws ConfigError */
export function openConfiguration(
  file: string,
  options: Pick<RedisStoreOptions, 'connect' | 'copy' | 'replacesUnusable'>,
): Promise<ConfigurationStore> {
  return openStore(resolve(file), {
    ...options,
    targetSchemas: knownTargetSchemas,
    env: process.env,
    external: {
      accepts: (type) => type.startsWith('package:'),
      async adopt(name, target, folder) {
        const { adoptTarget } = await import('@dicom-dispatch/targets');
        return adoptTarget(name, target, folder);
      },
    },
  });
}

/** A connection for a command. @throws CommandError if Redis does not respond */
export async function connectNow(place: RedisPlace): Promise<Redis> {
  try {
    return await openRedis(place, 'cli', connectWithinMs);
  } catch (error) {
    if (error instanceof RedisPlaceError) throw new CommandError(error.message, exitCodes.usage, { cause: error });
    throw new CommandError(
      `Redis at ${addressOf(place)} cannot be used (${(error as Error).message})`,
      exitCodes.unreachable,
      { cause: error },
    );
  }
}
