import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { leasePort } from './port.ts';

test('gives each port to one lease only, and free ones', async () => {
  const leases = await Promise.all(Array.from({ length: 60 }, () => leasePort()));
  expect(new Set(leases.map((lease) => lease.port)).size).toBe(60);
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(leases[0]!.port, '127.0.0.1', resolve);
  });
  server.close();
  for (const lease of leases) lease.release();
});
