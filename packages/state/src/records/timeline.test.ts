import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { redisKeys } from '../keys/index.ts';
import { act } from './delivery-acts.ts';
import type { DeliveryState } from './record-types.ts';
import { Records } from './records.ts';

const prefix = '{timeline}';
const keys = redisKeys(prefix);
let server: RedisServer;
let redis: Redis;
let records: Records;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = new Redis(server.url);
  records = new Records(redis, prefix);
});
beforeEach(async () => {
  await redis.flushall();
  const study = {
    source: 'main',
    orthancStudyId: 'o-1',
    epoch: '1',
    studyInstanceUid: '1.2.3',
    contentHash: 'h',
    instanceCount: 3,
    modalities: ['CT'],
    rules: ['r'],
    targets: ['pacs'],
    studyTaskId: 's-1',
    routedAt: 1,
    lastUpdate: undefined,
  };
  await records.routed(study, [{ ...study, priority: 'normal', deliveryId: 'd-1', target: 'pacs' }]);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

const texts = async (): Promise<string[]> => (await records.events('d-1')).map(({ text }) => text);
const isInRecord = async (): Promise<boolean> => (await redis.hexists(keys.delivery('d-1'), 'events')) === 1;
const hasList = async (): Promise<boolean> => (await redis.exists(keys.events('d-1'))) === 1;
const end = (state: DeliveryState, text: string) =>
  records.change('d-1', { ...act('end'), patch: { state }, event: { kind: 'ended', text } });

it('a delivery that is opened again and ends again has all its events, in their order', async () => {
  await records.update('d-1', { state: 'active' }, { kind: 'started', text: 'one "quoted"\nline' });
  expect([await isInRecord(), await hasList()]).toEqual([false, true]);
  await end('failed', 'two');
  expect([await isInRecord(), await hasList()]).toEqual([true, false]);
  expect(await texts()).toEqual(['one "quoted"\nline', 'two']);
  await records.change('d-1', {
    ...act('retry'),
    patch: { state: 'waiting' },
    event: { kind: 'operator', text: 'three' },
  });
  expect([await isInRecord(), await hasList()]).toEqual([false, true]);
  expect(await texts()).toEqual(['one "quoted"\nline', 'two', 'three']);
  await end('delivered', 'four');
  expect([await isInRecord(), await hasList()]).toEqual([true, false]);
  await records.update('d-1', { notice: 'n' }, { kind: 'noticed', text: 'five' });
  expect([await isInRecord(), await hasList()]).toEqual([true, false]);
  expect(await texts()).toEqual(['one "quoted"\nline', 'two', 'three', 'four', 'five']);
});

it('a delivery that is opened again without an event keeps those from before', async () => {
  await records.update('d-1', { state: 'active' }, { kind: 'started', text: 'one' });
  await end('failed', 'two');
  await records.change('d-1', { ...act('retry'), patch: { state: 'waiting' } });
  expect(await texts()).toEqual(['one', 'two']);
  await records.update('d-1', { state: 'active' }, { kind: 'started', text: 'three' });
  expect(await texts()).toEqual(['one', 'two', 'three']);
});

it('events with any text, attempt and worker are read as they were written, also without short parts', async () => {
  const all = [
    {
      kind: 'started',
      attempt: 1,
      worker: 'a "b" \u0001',
      text: '{"at":1,"kind":"x","attempt":2,"worker":"y","text":"z"}',
    },
    { kind: 'stage', stage: 'verify', text: '\u0000\u0001\u0002\u0007\u0008 é % %1 $& \\"}' },
    { kind: 'failed', attempt: 2, stage: 'connect', code: 'internal', text: '' },
  ] as const;
  for (const event of all) await records.update('d-1', { state: 'active' }, event);
  const before = await records.events('d-1');
  expect(before).toMatchObject(all);
  await records.change('d-1', { ...act('end'), patch: { state: 'failed' } });
  expect(await isInRecord()).toBe(true);
  expect(await records.events('d-1')).toEqual(before);
  const text = before.map((event) => JSON.stringify(event)).join('\n');
  expect((await redis.hget(keys.delivery('d-1'), 'events'))?.length).toBeLessThan(text.length);
  await redis.hset(keys.delivery('d-1'), 'events', text);
  expect(await records.events('d-1')).toEqual(before);
  await records.update('d-1', { notice: 'n' }, { kind: 'noticed', text: 'last' });
  expect(await records.events('d-1')).toMatchObject([...before, { text: 'last' }]);
});

it('a long timeline stays in its list, and continues there', async () => {
  const long = Array.from({ length: 20 }, (_, index) => `event ${index} ${'x'.repeat(80)}`);
  for (const text of long) await records.update('d-1', { state: 'active' }, { kind: 'noticed', text });
  await end('delivered', 'end');
  expect([await isInRecord(), await hasList()]).toEqual([false, true]);
  expect(await texts()).toEqual([...long, 'end']);
});

it('a delivery without events ends without a timeline', async () => {
  await records.change('d-1', { ...act('cancel'), patch: { state: 'cancelled' } });
  expect([await isInRecord(), await hasList()]).toEqual([false, false]);
  expect(await texts()).toEqual([]);
});

it('a list with more events than fit is not read when the delivery ends', async () => {
  const many = Array.from({ length: 31 }, (_, at) => JSON.stringify({ at, kind: 'a' }));
  await records.update('d-1', { state: 'active' });
  await redis.rpush(keys.events('d-1'), ...many);
  await redis.config('RESETSTAT');
  await records.change('d-1', { ...act('end'), patch: { state: 'delivered' } });
  expect(await redis.info('commandstats')).not.toContain('cmdstat_lrange:');
  expect([await isInRecord(), await hasList()]).toEqual([false, true]);
  expect(await redis.lrange(keys.events('d-1'), 0, -1)).toEqual(many);
});

it('the timeline of a success is read as it was written, also in the form of format 7, and after a further event', async () => {
  const success = async (): Promise<void> => {
    const worker = 'host-1-2-abcd';
    await records.update(
      'd-1',
      { state: 'active' },
      { kind: 'started', attempt: 1, worker, text: 'attempt 1 started' },
    );
    const text = '3 instances sent, 0 were already there';
    await records.change('d-1', {
      ...act('end'),
      patch: { state: 'delivered' },
      event: { kind: 'ended', attempt: 1, text },
    });
  };
  await success();
  const events = await records.events('d-1');
  expect(events).toMatchObject([
    { kind: 'started', attempt: 1, worker: 'host-1-2-abcd', text: 'attempt 1 started' },
    { kind: 'ended', attempt: 1, text: '3 instances sent, 0 were already there' },
  ]);
  const [first, second] = events.map(({ at }) => at);
  const former = [
    `\u0001${first}\u0002started\u00031\u0004host-1-2-abcd\u0005attempt 1 started\u0007`,
    `\u0001${second}\u0002ended\u00031\u00063 instances sent, 0 were already there\u0007`,
  ].join('\n');
  const now = (await redis.hget(keys.delivery('d-1'), 'events')) ?? '';
  expect(now.length).toBeLessThan(former.length - 60);
  await redis.hset(keys.delivery('d-1'), 'events', former);
  expect(await records.events('d-1')).toEqual(events);
  await records.update('d-1', { notice: 'n' }, { kind: 'noticed', text: 'last' });
  expect(await records.events('d-1')).toMatchObject([...events, { text: 'last' }]);
  expect((await redis.hget(keys.delivery('d-1'), 'events'))?.startsWith(`${now}\n`)).toBe(true);
});
