import { DispatchError, parseConfig, type DeliveryData } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { act, type DeliveryPatch, type DeliveryRecord } from '@dicom-dispatch/state/records';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { sendStudy, type LackedStudy } from './send-study.ts';

const deliveryId = `d-${'0'.repeat(20)}`;
const key = { source: 'main', orthancStudyId: 'o-1', studyInstanceUid: '1.2.3', target: 'a' };
let server: RedisServer;
let redis: Redis;
let pipeline: PipelineContext;
let lacked: LackedStudy;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'error', format: 'json' }));
  const parsed = parseConfig(
    { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { a: { type: 'dummy' } } },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  pipeline = openPipeline(parsed.config, redis);
});
beforeEach(async () => {
  await redis.flushall();
  const data = {
    ...key,
    deliveryId,
    epoch: '1',
    contentHash: 'h',
    instanceCount: 2,
    modalities: ['CT'],
    studyTaskId: 's-1',
    rules: ['r'],
    priority: 'normal',
    routedAt: Date.now(),
  } as unknown as DeliveryData;
  await pipeline.records.routed({ ...data, targets: ['a'], lastUpdate: undefined } as never, [data]);
  const confirmation = { version: 'v1', attempt: 1, deliveryId, seriesInstanceUid: '1.2.3.1' };
  await pipeline.ledger.confirm(key, [
    { ...confirmation, sopInstanceUid: '1.2.3.1.1', at: 1 },
    { ...confirmation, sopInstanceUid: '1.2.3.1.2', at: 2 },
  ]);
  const wrong = [...(await pipeline.ledger.entries(key))].map(([name, { versionHash, at }]) => ({
    name,
    versionHash,
    at,
  }));
  lacked = { deliveryId, key, wrong, instances: wrong.length, by: 'otto' };
  await is({ state: 'delivered', endedAt: 5 });
});
afterAll(async () => {
  await pipeline?.close();
  redis?.disconnect();
  await server?.stop();
});

const is = (patch: DeliveryPatch) => pipeline.records.update(deliveryId, patch);
const record = (): Promise<DeliveryRecord | undefined> => pipeline.records.delivery(deliveryId);
const confirmed = async (): Promise<number> => (await pipeline.ledger.entries(key)).size;
const context = (takeBack = pipeline.ledger.takeBack.bind(pipeline.ledger)) => ({
  ...pipeline,
  config: pipeline.config(),
  ledger: { takeBack },
});

it('removes confirmations of instances that a target lacks, and continues its delivery immediately', async () => {
  expect(await sendStudy(context(), lacked)).toBe(2);
  expect(await confirmed()).toBe(0);
  expect(await record()).toMatchObject({ state: 'waiting', wake: 'job' });
  expect(await pipeline.queues.target('a').getJobCounts('prioritized', 'delayed')).toEqual({
    prioritized: 1,
    delayed: 0,
  });
  const events = await pipeline.records.events(deliveryId);
  expect(events.map(({ text }) => text)).toEqual([
    '2 confirmed instances are missing at the target: sent again by otto',
  ]);
});

it.each(['before', 'after'] as const)(
  'leaves no hole behind a delivered study when it ends %s the ledger has changed',
  async (when) => {
    const lost = async (...args: Parameters<typeof pipeline.ledger.takeBack>): Promise<number> => {
      if (when === 'after') await pipeline.ledger.takeBack(...args);
      throw new DispatchError('ledger-unavailable', 'no answer');
    };
    await expect(sendStudy(context(lost), lacked)).rejects.toThrow('no answer');
    expect(await confirmed()).toBe(when === 'after' ? 0 : 2);
    const { state, wake, nextAttemptAt = 0 } = (await record()) ?? {};
    expect([state, wake]).toEqual(['waiting', 'due']);
    expect(nextAttemptAt).toBeGreaterThan(0);
    // The next try finds it open.
    expect(await sendStudy(context(), lacked)).toBe(when === 'after' ? 0 : 2);
    expect((await record())?.state).toBe('waiting');
  },
);

it('opens a delivery again that ended before the ledger had changed', async () => {
  const late = async (...args: Parameters<typeof pipeline.ledger.takeBack>): Promise<number> => {
    await is({ state: 'delivered' });
    return pipeline.ledger.takeBack(...args);
  };
  expect(await sendStudy(context(late), lacked)).toBe(2);
  expect(await record()).toMatchObject({ state: 'waiting', wake: 'job' });
});

it('removes nothing if the delivery cannot be opened', async () => {
  await pipeline.records.change(deliveryId, { ...act('sendAgain'), patch: { state: 'waiting' } });
  await is({ state: 'moved' });
  expect(await sendStudy(context(), lacked)).toBeUndefined();
  expect(await confirmed()).toBe(2);
});
