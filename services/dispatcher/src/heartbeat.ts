import { redisKeys } from '@dicom-dispatch/state/keys';
import { hostname } from 'node:os';
import type { Redis } from '@dicom-dispatch/runtime';

const beatMs = 5_000;
const keepMs = 20_000;
/** A dispatcher that was killed leaves its id behind for so long. */
const forgottenAfterMs = 86_400_000;

/** Tells that this dispatcher lives and what it does: `<prefix>:worker:<id>`, which expires when it does not; `<prefix>:workers` lists the ids. */
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

/** @returns undefined when this process has as many files open as it may: reading it takes one */
function residentBytes(): number | undefined {
  try {
    return process.memoryUsage.rss();
  } catch {
    return undefined;
  }
}
