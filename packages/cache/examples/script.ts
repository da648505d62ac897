import { closeCache, configureCache, getCache } from '@dicom-dispatch/cache';

await configureCache({ redis: process.env['REDIS_URL'] ?? 'redis://localhost:6379', prefix: '{example}' });

// Anywhere else in the program:
const size = await getCache().getOrCompute('size', 'study-1', async () => 42);
console.log(size);

await getCache().clear();
await closeCache();
