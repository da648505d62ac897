import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { endLoss } from '@dicom-dispatch/state/generation';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../logging/create-logger.ts';
import { RedisLost, RedisWatch, type WatchOptions } from './watch-redis.ts';

const prefix = '{watched}';
const keys = redisKeys(prefix);
const log = createLogger('test', { level: 'silent', format: 'json' });

let server: RedisServer;
let redis: Redis;
const open = new Set<RedisWatch>();
beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await Promise.all([...open].map((watch) => watch.stop()));
  open.clear();
  await redis.flushall();
});

async function watch(more: Partial<WatchOptions> = {}): Promise<{ watch: RedisWatch; events: string[] }> {
  const events: string[] = [];
  const made = new RedisWatch({ redis, prefix, services: ['router'], log, ...more });
  open.add(made);
  made.listen({ lost: (loss) => events.push(loss.kind), recovered: () => events.push('recovered') });
  await made.first;
  return { watch: made, events };
}

/** As the router does it. */
async function recover(): Promise<boolean> {
  await redis.set(keys.recoveryLock, 'token');
  return endLoss(redis, prefix, 'token', { at: 0 });
}

function until(...watches: { watch: RedisWatch }[]) {
  return {
    async are(kind: string): Promise<void> {
      await waitFor(() => watches.every((one) => one.watch.standing.kind === kind), { message: kind });
    },
  };
}

describe('a process that watches Redis', () => {
  it('begins a generation in an empty Redis; others share it', async () => {
    const [one, two] = await Promise.all([watch(), watch()]);
    expect(one.watch.standing.kind).toBe('good');
    expect(one.watch.known?.id).toBe(two.watch.known?.id);
    await one.watch.confirm();
  });

  it('confirms nothing that was read from an earlier copy of the data, before its next beat too', async () => {
    const one = await watch();
    await redis.hset(keys.generation, 'count', one.watch.known!.count - 1);
    await expect(one.watch.confirm()).rejects.toThrow(RedisLost);
  });

  it('confirms nothing when Redis has forgotten its last beat', async () => {
    const one = await watch();
    await redis.hdel(keys.beats, one.watch.process);
    await expect(one.watch.confirm()).rejects.toThrow(RedisLost);
  });

  it('detects that everything is lost; continues when it is recovered', async () => {
    const [one, two] = await Promise.all([watch(), watch()]);
    await redis.flushall();
    await expect(one.watch.confirm()).rejects.toThrow(RedisLost);
    await until(one, two).are('lost');
    // A process that starts now has no reliable data either.
    const three = await watch();
    expect(three.watch.standing).toMatchObject({ kind: 'lost', loss: { kind: 'gone' } });
    expect(three.watch.dependencies()[0]).toMatchObject({
      ok: false,
      detail: expect.stringContaining('lost its data'),
    });
    expect(await recover()).toBe(true);
    await until(one, two, three).are('good');
    expect(one.events).toEqual(['gone', 'recovered']);
    expect(three.events).toEqual(['gone', 'recovered']);
    await three.watch.confirm();
    expect(await recover()).toBe(false);
  });

  it('detects data of a second ago, whichever of several processes checks first', async () => {
    const all = await Promise.all([watch(), watch(), watch()]);
    await waitFor(async () => Number(await redis.hget(keys.generation, 'count')) >= 6);
    const copies = await Promise.all([keys.generation, keys.beats].map((key) => redis.dumpBuffer(key)));
    const count = Number(await redis.hget(keys.generation, 'count'));
    await waitFor(async () => Number(await redis.hget(keys.generation, 'count')) >= count + 3);
    await redis.restore(keys.generation, 0, copies[0]!, 'REPLACE');
    await redis.restore(keys.beats, 0, copies[1]!, 'REPLACE');
    await until(...all).are('lost');
    expect(all.map(({ events }) => events)).toEqual([['older'], ['older'], ['older']]);
    await recover();
    await until(...all).are('good');
  });

  it('detects data of another generation, also with the memory of a previous process', async () => {
    const one = await watch({ known: { id: 'of the file', count: 10 } });
    expect(one.watch.standing).toMatchObject({ kind: 'lost', loss: { kind: 'gone' } });
    await redis.flushall();
    await redis.hset(keys.generation, { id: 'of the file', count: 9 });
    const two = await watch({ known: { id: 'of the file', count: 10 } });
    expect(two.watch.standing).toMatchObject({ kind: 'lost', loss: { kind: 'older' } });
    await redis.flushall();
    await redis.hset(keys.generation, { id: 'other', count: 90 });
    const three = await watch({ known: { id: 'of the file', count: 10 } });
    expect(three.watch.standing).toMatchObject({ kind: 'lost', loss: { kind: 'another' } });
  });

  it('continues after a restart of Redis that lost nothing, and after an outage', async () => {
    const one = await watch();
    await redis.client('PAUSE', 4_500, 'ALL');
    await until(one).are('away');
    await until(one).are('good');
    expect(one.events).toEqual([]);
  });

  it('reports that Redis rejects writes, and when it accepts them again', async () => {
    const one = await watch();
    await redis.config('SET', 'maxmemory', '1');
    await waitFor(() => one.watch.standing.kind === 'refuses');
    expect(one.watch.standing).toMatchObject({ reason: 'OOM' });
    expect(one.watch.dependencies()[0]?.ok).toBe(false);
    await redis.config('SET', 'maxmemory', '0');
    await until(one).are('good');
    expect(one.events).toEqual([]);
  });

  it('has the time of Redis, and the data of each process', async () => {
    const one = await watch();
    const [seconds = 0] = await redis.time();
    expect(Math.abs(one.watch.clock.now() - Number(seconds) * 1000)).toBeLessThan(2_000);
    expect(Math.abs(one.watch.skewMs)).toBeLessThan(1_000);
    expect(JSON.parse((await redis.get(keys.process(one.watch.process))) ?? '')).toMatchObject({
      services: ['router'],
    });
  });
});
