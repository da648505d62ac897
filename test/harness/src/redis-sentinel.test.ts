import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { startSentinel } from './redis-sentinel.ts';
import { waitFor } from './wait-for.ts';

test('promotes the replica when the master fails', async () => {
  await using setup = await startSentinel();
  const [master, replica] = setup.servers;
  const client = new Redis({ sentinels: [...setup.sentinels], name: setup.name });
  client.on('error', () => undefined);
  try {
    await client.set('study', 'kept');
    await client.wait(1, 5000);
    expect(await setup.masterPort()).toBe(master!.port);
    await master!.kill('SIGKILL');
    await waitFor(async () => (await setup.masterPort()) === replica!.port);
    expect(await waitFor(() => client.get('study'))).toBe('kept');
  } finally {
    client.disconnect();
  }
});
