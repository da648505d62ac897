import { createHash } from 'node:crypto';
import type { RedisClient } from './redis-client.ts';

type Argument = string | number | Buffer;

/**
 * A Lua script, which Redis executes atomically. All its keys have the hash tag of the prefix, as Redis Cluster
 * requires: those in KEYS, and those that it builds itself.
 */
export interface Script {
  run(redis: RedisClient, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
  /** Like `run`, with every string of the reply as a Buffer. */
  runBuffer(redis: RedisClient, keys: readonly string[], args: readonly Argument[]): Promise<unknown>;
}

/** Sends the hash of the script, and its text only if Redis does not know it (after its restart, or on a new replica). */
export function defineScript(lua: string): Script {
  const sha = createHash('sha1').update(lua).digest('hex');
  async function call(
    method: 'call' | 'callBuffer',
    redis: RedisClient,
    keys: readonly string[],
    args: readonly Argument[],
  ) {
    const rest = [keys.length, ...keys, ...args];
    try {
      return await redis[method]('EVALSHA', [sha, ...rest]);
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error;
      return redis[method]('EVAL', [lua, ...rest]);
    }
  }
  return {
    run: (redis, keys, args) => call('call', redis, keys, args),
    runBuffer: (redis, keys, args) => call('callBuffer', redis, keys, args),
  };
}
