import { openCache } from '@dicom-dispatch/cache';

await using cache = await openCache({
  redis: process.env['REDIS_URL'] ?? 'redis://localhost:6379',
  prefix: '{example}',
  maxMemoryBytes: 64_000_000,
  types: { report: { retention: 'cached', maxAgeMs: 3_600_000 } },
  secret: process.env['CACHE_SECRET'] ?? 'at least one long random text',
});

let computed = 0;
const compute = async () => ({ pages: 3, computed: (computed += 1) });

// One worker of all processes computes; the others wait for it. Confidential: in Redis only encrypted.
await cache.getOrCompute('report', 'study-1', compute, { confidential: true });
console.log(await cache.getOrCompute('report', 'study-1', compute, { confidential: true }));

await cache.put('thumbnail', 'study-1', Buffer.from('bytes of any kind'));
console.log((await cache.get('thumbnail', 'study-1'))?.bytes.toString());
console.log((await cache.lookup('thumbnail', 'study-2')).state);

await cache.invalidate('report', 'study-1');
console.log(await cache.has('report', 'study-1'), await cache.clear());
