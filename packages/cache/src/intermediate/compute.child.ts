// Workers that need one value: URL, key, names of the workers, duration of the computation in milliseconds, lease,
// folder for a stream.
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { IntermediateCache } from './intermediate-cache.ts';
import { configOf } from './testing.ts';

const [url = '', key = '', names = '', durationMs = '0', leaseMs = '0', folder = ''] = process.argv.slice(2);
const redis = new Redis(url);

async function work(worker: string): Promise<string> {
  // Each with a separate cache: they only share Redis.
  const cache = await IntermediateCache.open(redis, configOf(folder ? { folder: { path: folder } } : {}), {
    computeLeaseMs: Number(leaseMs),
    timeoutMs: 30_000,
  });
  await redis.incr('workers');
  if (!folder) {
    const value = await cache.getOrCompute('manifest', key, async () => {
      await redis.rpush('computed', worker);
      await delay(Number(durationMs));
      return worker;
    });
    return value;
  }
  const stream = await cache.getOrComputeStream('transformed-instance', key, async () => {
    await redis.rpush('computed', worker);
    return slowly();
  });
  let sum = 0;
  for await (const chunk of stream.body) for (const byte of chunk) sum += byte;
  return String(sum);
}

async function* slowly(): AsyncGenerator<Uint8Array> {
  for (let part = 0; part < 20; part += 1) {
    await delay(Number(durationMs) / 20);
    yield Buffer.alloc(100_000, part);
  }
}

const results = await Promise.all(names.split(',').map((worker) => work(worker)));
process.stdout.write(results.join(','));
redis.disconnect();
