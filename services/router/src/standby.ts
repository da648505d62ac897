import { setTimeout as sleep } from 'node:timers/promises';
import { redisKeys } from '@dicom-dispatch/state/keys';
import type { Redis } from '@dicom-dispatch/runtime';

const beatMs = 5_000;
/** A router that has not reported for so long has ended without being stopped. */
const goneAfterMs = 20_000;
/** A router that is missing for so long is not expected any more. */
const expectedMs = 7 * 86_400_000;

/** An additional router counts after this time: one that crashed and was restarted exists twice until the first is gone. */
const settledMs = 60_000;

/** KEYS: routers, expected. ARGV: id, gone after, expected for, settled after (ms). */
const beatScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
local running = redis.call('ZCARD', KEYS[1])
local known = redis.call('HMGET', KEYS[2], 'routers', 'since', 'more', 'moreSince')
local expected = tonumber(known[1] or 0)
local isGivenUp = known[2] and now - known[2] > tonumber(ARGV[3])
local isSettled = known[3] == tostring(running) and now - known[4] > tonumber(ARGV[4])
if isGivenUp or expected == 0 or running == expected or isSettled then
  redis.call('HSET', KEYS[2], 'routers', running)
  redis.call('HDEL', KEYS[2], 'since', 'more', 'moreSince')
elseif running < expected then
  redis.call('HDEL', KEYS[2], 'more', 'moreSince')
  redis.call('HSETNX', KEYS[2], 'since', now)
elseif known[3] ~= tostring(running) then
  redis.call('HDEL', KEYS[2], 'since')
  redis.call('HSET', KEYS[2], 'more', running, 'moreSince', now)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return running
`;
/** KEYS and ARGV as above. One that is stopped is not expected back, unless another is missing already: it may be a restart. */
const leaveScript = `
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time[1] * 1000 - ARGV[2])
local running = redis.call('ZCARD', KEYS[1])
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return running end
if running >= tonumber(redis.call('HGET', KEYS[2], 'routers') or 0) then redis.call('HSET', KEYS[2], 'routers', running - 1) end
return running - 1
`;

/**
 * Counts the running routers, and remembers how many there should be: the end of a second router that was not stopped would
 * otherwise be noticed only when the first one ends too. The health check reads both.
 */
export class Standby {
  readonly #redis: Redis;
  readonly #arguments: readonly [routers: string, expected: string, id: string, ...ms: number[]];

  /** @param id - of this process */
  constructor(redis: Redis, prefix: string, id: string) {
    this.#redis = redis;
    const { routers, expectedRouters } = redisKeys(prefix);
    this.#arguments = [routers, expectedRouters, id, goneAfterMs, expectedMs, settledMs];
  }

  /** @returns how many routers run */
  async beat(): Promise<number> {
    return (await this.#redis.eval(beatScript, 2, ...this.#arguments)) as number;
  }

  /** Sends heartbeats until `signal` is aborted. A failed one is skipped: Redis is watched elsewhere. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#redis.status === 'ready') await this.beat().catch(() => {});
      await sleep(beatMs, undefined, { signal }).catch(() => {});
    }
  }

  /** This router is being stopped. */
  async leave(): Promise<void> {
    if (this.#redis.status === 'ready') await this.#redis.eval(leaveScript, 2, ...this.#arguments);
  }
}
