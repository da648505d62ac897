import { redisKeys } from '@dicom-dispatch/state/keys';
import { hostname } from 'node:os';
import type { Redis } from '@dicom-dispatch/runtime';

const beatMs = 5_000;
const keepMs = 20_000;
/** A killed dispatcher leaves its id behind for this time. */
const forgottenAfterMs = 86_400_000;

/**
 * Heartbeat of this dispatcher with its work: `<prefix>:worker:<id>`, which expires without it; `<prefix>:workers` lists the
 * ids.
 */
export function startHeartbeat(
  redis: Redis,
  prefix: string,
  worker: string,
  active: ReadonlySet<string>,
): { stop(): Promise<void> } {
  const keys = redisKeys(prefix);
  const key = keys.worker(worker);
  const startedAt = Date.now();
  let rssBytes = 0;
  const beat = (): void => {
    rssBytes = residentBytes() ?? rssBytes;
    const state = { host: hostname(), pid: process.pid, startedAt, active: [...active], rssBytes };
    redis
      .multi()
      .set(key, JSON.stringify(state), 'PX', keepMs)
      .zadd(keys.workers, Date.now(), worker)
      .zremrangebyscore(keys.workers, '-inf', Date.now() - forgottenAfterMs)
      .exec()
      .catch(() => {});
  };
  beat();
  const timer = setInterval(beat, beatMs);
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      if (redis.status === 'ready') await redis.multi().del(key).zrem(keys.workers, worker).exec();
    },
  };
}

/** @returns undefined if this process has reached its limit of open files: reading it needs one */
function residentBytes(): number | undefined {
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
}
