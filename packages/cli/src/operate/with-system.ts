import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { userInfo } from 'node:os';
import { SourceLookup, type ViewContext } from '@dicom-dispatch/console/views';
import { openOperations, OperationError, type Actor } from '@dicom-dispatch/operations';
import { addressOf, redisUrlOf } from '@dicom-dispatch/runtime';
import { Redis } from 'ioredis';
import { CommandError, exitCodes } from '../exit.ts';
import { readConfig } from '../read-config.ts';

export interface System extends ViewContext {
  /** Who stands in timelines for what is done here. */
  readonly actor: Actor;
}

const connectWithinMs = 5_000;

/**
 * Does something with a system that runs, over its Redis; the console need not be there.
 *
 * @throws CommandError when Redis does not answer, or the operation cannot be done
 */
export async function withSystem<T>(file: string, act: (system: System) => Promise<T>): Promise<T> {
  const config = await readConfig(file);
  const redis = await connect(redisUrlOf(config) ?? (await embeddedUrl(config.redis.dataFolder)));
  const operations = openOperations(config, redis);
  const lookup = new SourceLookup(() => config);
  try {
    return await act({
      config: () => config,
      redis,
      operations,
      lookup,
      actor: { name: `${userInfo().username} (command line)` },
    });
  } catch (error) {
    if (error instanceof OperationError) {
      throw new CommandError(error.message, error.code === 'invalid' ? exitCodes.usage : exitCodes.failed, {
        cause: error,
      });
    }
    throw error;
  } finally {
    await lookup.reset();
    await operations.close();
    redis.disconnect();
  }
}

/** The Redis of our own that `up` starts where none is configured. */
async function embeddedUrl(dataFolder: string): Promise<string> {
  const socket = join(resolve(dataFolder, 'redis'), 'redis.sock');
  const isThere = await access(socket).then(
    () => true,
    () => false,
  );
  if (isThere) return `unix://${socket}`;
  throw new CommandError(
    `no redis.url is configured, and no Redis of our own runs in ${dataFolder}: start "dispatch up" first, in the same folder`,
  );
}

async function connect(url: string): Promise<Redis> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: connectWithinMs,
    retryStrategy: null,
    maxRetriesPerRequest: null,
    connectionName: 'dicom-dispatch-cli',
  });
  let reason = '';
  redis.on('error', (error: NodeJS.ErrnoException) => (reason = error.code ?? error.message));
  try {
    await redis.connect();
    return redis;
  } catch (error) {
    redis.disconnect();
    throw new CommandError(
      `Redis at ${addressOf(url)} does not answer (${reason || 'no reason is known'})`,
      exitCodes.failed,
      { cause: error },
    );
  }
}
