// A worker that writes, reads and invalidates at random: URL, seed, rounds, budget in kB, folder.
import { Redis } from 'ioredis';
import { IntermediateCache } from './intermediate-cache.ts';
import { configOf } from './testing.ts';

const [url = '', seed = '1', rounds = '100', budgetKb = '0', folder = ''] = process.argv.slice(2);
const redis = new Redis(url);
const cache = await IntermediateCache.open(
  redis,
  configOf({
    maxMemory: `${Number(budgetKb)}kB`,
    compression: false,
    types: { kept: { retention: 'persistent' }, brief: { maxAge: '20ms' }, scratch: { retention: 'transient' } },
    folder: { path: folder, maxSize: '300kB' },
  }),
  { fileAboveBytes: 20_000, timeoutMs: 30_000 },
);
let state = Number(seed);
function random(below: number): number {
  state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
  return state % below;
}
const types = ['manifest', 'study', 'brief', 'scratch', 'manifest', 'study', 'manifest', 'kept'];
for (let round = 0; round < Number(rounds); round += 1) {
  const type = types[random(types.length)]!;
  const key = `k${random(type === 'kept' ? 6 : 60)}`;
  const act = random(10);
  if (act < 6)
    await cache.put(type, key, Buffer.alloc(random(type === 'manifest' ? 40_000 : 3_000), round), {
      use: `u${random(3)}`,
    });
  else if (act < 9) await cache.get(type, key);
  else if (random(2) === 0) await cache.invalidate(type, key);
  else await cache.release(`u${random(3)}`);
}
redis.disconnect();
