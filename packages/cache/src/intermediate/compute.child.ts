// A worker that wants one value: URL, key, name of the worker, milliseconds that the computation takes.
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { IntermediateCache } from './intermediate-cache.ts';
import { configOf } from './testing.ts';

const [url = '', key = '', worker = '', durationMs = '0', folder = ''] = process.argv.slice(2);
const redis = new Redis(url);
const cache = await IntermediateCache.open(redis, configOf(folder ? { folder: { path: folder } } : {}), {
  computeLeaseMs: 600,
});
await redis.incr('workers');
if (folder) {
  const stream = await cache.getOrComputeStream('transformed-instance', key, async () => {
    await redis.rpush('computed', worker);
    return (async function* () {
      for (let part = 0; part < 20; part += 1) {
        await delay(Number(durationMs) / 20);
        yield Buffer.alloc(100_000, part);
      }
    })();
  });
  let sum = 0;
  for await (const chunk of stream.body) for (const byte of chunk) sum += byte;
  process.stdout.write(String(sum));
} else {
  const value = await cache.getOrCompute('manifest', key, async () => {
    await redis.rpush('computed', worker);
    await delay(Number(durationMs));
    return { by: worker };
  });
  process.stdout.write(JSON.stringify(value));
}
redis.disconnect();
