import { startSentinel, waitFor } from '@dicom-dispatch/harness';
import pino from 'pino';
import { expect, it } from 'vitest';
import { connectRedis, openRedis } from './connect-redis.ts';

it('continues on the new master if the failover is announced while a Sentinel is asked for it', async () => {
  await using group = await startSentinel();
  const [asked, ...others] = group.sentinelServers;
  const place = {
    sentinel: { name: group.name, addresses: group.sentinels.map(({ host, port }) => `${host}:${port}`), tls: false },
  };
  const redis = connectRedis(place, 'test', pino({ enabled: false }));
  // Of the connection and of its duplicates, as BullMQ makes them.
  const duplicate = redis.duplicate();
  duplicate.on('error', () => undefined);
  try {
    expect(await redis.ping()).toBe('PONG');
    expect(await duplicate.ping()).toBe('PONG');
    for (const { ports } of others) await waitUntilSubscribed(ports[0]!, 2);
    // The first one is asked first, and does not respond before the failover has been announced by the others.
    await asked!.kill('SIGSTOP');
    await group.servers[0]!.kill('SIGKILL');
    await waitFor(() => redis.status === 'connecting' && duplicate.status === 'connecting');
    const [other] = others;
    await waitFor(async () => (await masterPort(other!.ports[0]!, group.name)) === group.servers[1]!.port);
    await asked!.kill('SIGCONT');
    expect(await redis.ping()).toBe('PONG');
    expect(await duplicate.ping()).toBe('PONG');
  } finally {
    await asked!.kill('SIGCONT');
    duplicate.disconnect();
    redis.disconnect();
  }
});

async function waitUntilSubscribed(port: number, subscribers: number): Promise<void> {
  const sentinel = await openRedis(`redis://127.0.0.1:${port}`, 'test', 60_000);
  try {
    await waitFor(async () => {
      const clients = String(await sentinel.call('CLIENT', 'LIST'));
      return clients.split('\n').filter((line) => line.includes(' sub=1 ')).length >= subscribers;
    });
  } finally {
    sentinel.disconnect();
  }
}

async function masterPort(port: number, name: string): Promise<number> {
  const sentinel = await openRedis(`redis://127.0.0.1:${port}`, 'test', 60_000);
  try {
    const address = (await sentinel.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name)) as string[];
    return Number(address[1]);
  } finally {
    sentinel.disconnect();
  }
}
