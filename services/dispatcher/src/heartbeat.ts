import { redisKeys } from '@dicom-dispatch/state/keys';
import { hostname } from 'node:os';
import type { Redis } from '@dicom-dispatch/runtime';

const beatMs = 5_000;
const keepMs = 20_000;

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
  const beat = (): void => {
    const { rss } = process.memoryUsage();
    const told = { host: hostname(), pid: process.pid, startedAt, active: [...active], rssBytes: rss };
    redis
      .multi()
      .set(key, JSON.stringify(told), 'PX', keepMs)
      .zadd(keys.workers, Date.now(), worker)
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
