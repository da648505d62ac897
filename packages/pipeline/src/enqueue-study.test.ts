import { parseConfig, studyQueue, type Config } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { decodeData, encodeData } from '@dicom-dispatch/state/records';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openPipeline, type PipelineContext } from './context.ts';
import { enqueueArriving } from './enqueue-arriving.ts';
import { StudyEnqueuer, type Enqueued } from './enqueue-study.ts';
import { planByName } from './resolve-deliveries.ts';

let server: RedisServer;
let redis: Redis;
let config: Config;
let operations: PipelineContext;
let enqueuer: StudyEnqueuer;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'error', format: 'json' }));
  const raw = { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { a: { type: 'dummy' } } };
  const parsed = parseConfig(raw, Object.values(targetSchemas) as never);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  config = parsed.config;
  operations = openPipeline(config, redis);
  enqueuer = new StudyEnqueuer(config, redis, operations.records);
});
afterAll(async () => {
  await enqueuer.close();
  await operations.close();
  redis.disconnect();
  await server.stop();
});

function enqueue(
  studyInstanceUid: string,
  instances: number,
  { epoch = '1', isStable = true }: { readonly epoch?: string; readonly isStable?: boolean } = {},
): Promise<Enqueued> {
  return enqueuer.enqueue({
    source: 'main',
    epoch,
    study: {
      orthancStudyId: `o-${studyInstanceUid}`,
      studyInstanceUid,
      facts: { source: 'main', study: {}, series: [], origin: {} },
      lastUpdate: '20260101T000000',
      isStable,
    } as never,
    manifest: Array.from({ length: instances }, (_, index) => ({
      sopInstanceUid: `${studyInstanceUid}.${index}`,
      version: '1',
    })) as never,
    rules: ['r'],
    deliveries: planByName(config, ['a'], { rules: ['r'], priority: 'normal' }),
  });
}

const stateOf = async (id: string) => (await operations.queues.target('a').getJob(id))?.getState();

/** Simulates a router crash between the record and the job. */
async function loseJob({ studyTaskId }: Enqueued, deliveryId: string): Promise<void> {
  await (await operations.queues.study().getJob(studyTaskId))?.remove({ removeChildren: true });
  expect(await stateOf(deliveryId)).toBeUndefined();
}

test('the same content twice adds nothing', async () => {
  const first = await enqueue('1.2.1', 2);
  expect(first.added.length).toBe(1);
  expect((await enqueue('1.2.1', 2)).added).toEqual([]);
});

test('a study is queued, with its study task, though Redis has forgotten all scripts', async () => {
  await enqueue('1.2.5', 1);
  await redis.script('FLUSH');
  const { added, studyTaskId } = await enqueue('1.2.6', 1);
  expect(await stateOf(added[0]?.deliveryId ?? '')).toBe('prioritized');
  expect(await (await operations.queues.study().getJob(studyTaskId))?.getState()).toBe('waiting-children');
});

test('a job that was lost is added again by the same content', async () => {
  const first = await enqueue('1.2.2', 2);
  const id = first.added[0]?.deliveryId ?? '';
  await loseJob(first, id);
  expect((await enqueue('1.2.2', 2)).added.map(({ deliveryId }) => deliveryId)).toEqual([id]);
  expect(await stateOf(id)).toBe('prioritized');
});

test('and also if the study has grown meanwhile; ended deliveries are unchanged', async () => {
  const ended = await enqueue('1.2.3', 1);
  const endedId = ended.added[0]?.deliveryId ?? '';
  await loseJob(ended, endedId);
  await operations.records.update(endedId, { state: 'delivered' });
  const lost = await enqueue('1.2.3', 2);
  const lostId = lost.added[0]?.deliveryId ?? '';
  await loseJob(lost, lostId);
  const grown = await enqueue('1.2.3', 3);
  expect(await stateOf(grown.added[0]?.deliveryId ?? '')).toBe('prioritized');
  expect(await stateOf(lostId)).toBe('prioritized');
  expect(await stateOf(endedId)).toBeUndefined();
});

test('a sweep treats a study as routed only if its jobs are queued', async () => {
  const key = { source: 'main', orthancStudyId: 'o-1.2.4' };
  const counter = `${config.redis.prefix}:${studyQueue}:id`;
  const count = (await redis.getdel(counter)) ?? '0';
  await redis.set(counter, 'no number, so that BullMQ fails as if the router had died here');
  await expect(enqueue('1.2.4', 2)).rejects.toThrow();
  expect(await operations.records.study(key)).toMatchObject({ instanceCount: 2 });
  expect((await operations.records.study(key))?.lastUpdate).toBeUndefined();
  await redis.set(counter, count);
  expect((await enqueue('1.2.4', 2)).added.length).toBe(1);
  expect(await operations.records.study(key)).toMatchObject({ lastUpdate: '20260101T000000', modalities: [] });
});

test('a sweep routes a study again that was still being received when it was read: its date has a resolution of one second', async () => {
  const key = { source: 'main', orthancStudyId: 'o-1.2.45' };
  const lastUpdateAfter = async (isStable: boolean) => {
    await enqueue('1.2.45', 2, { isStable });
    return (await operations.records.study(key))?.lastUpdate;
  };
  expect(await lastUpdateAfter(false)).toBeUndefined();
  expect(await lastUpdateAfter(true)).toBe('20260101T000000');
});

test.each(['failed', 'partial', 'resolved', 'moved'] as const)(
  'a delivery that was begun during reception and is %s by now does not represent the whole study',
  async (state) => {
    const studyInstanceUid = `1.2.5.${state.length}`;
    const begun = (await enqueue(studyInstanceUid, 1)).added[0]?.deliveryId ?? '';
    const key = operations.keys.delivery(begun);
    const data = decodeData((await redis.hget(key, 'data')) ?? '{}', begun);
    await redis.hset(key, 'data', encodeData({ ...data, arriving: 'arrival' }));
    await operations.records.update(begun, { state });
    const whole = (await enqueue(studyInstanceUid, 3)).added.map(({ deliveryId }) => deliveryId);
    expect(whole).toEqual([expect.not.stringMatching(begun)]);
    expect(await stateOf(whole[0] ?? '')).toBe('prioritized');
    expect((await operations.records.delivery(begun))?.state).toBe(state);
  },
);

test('a delivery that was begun during reception gets the epoch of the complete study: its database may be another one', async () => {
  const studyInstanceUid = '1.2.6.1';
  const begin = () =>
    enqueueArriving(
      { ...operations, config },
      {
        source: 'main',
        epoch: '1',
        snapshot: {
          study: {
            orthancStudyId: `o-${studyInstanceUid}`,
            studyInstanceUid,
            facts: { source: 'main', study: {}, series: [], origin: {} },
          },
          manifest: [{ sopInstanceUid: `${studyInstanceUid}.0`, version: '1' }],
        } as never,
        rules: ['r'],
        deliveries: planByName(config, ['a'], { rules: ['r'], priority: 'normal' }).map(
          (one) => ({ ...one, start: 'arrival' }) as const,
        ),
      },
    );
  const [id = ''] = await begin();
  expect(await operations.records.delivery(id)).toMatchObject({ epoch: '1', arriving: 'arrival' });
  // Repeated, e.g. after a crash, it is the same.
  expect(await begin()).toEqual([id]);
  const { deliveries } = await enqueue(studyInstanceUid, 3, { epoch: '2' });
  expect(deliveries.map(({ deliveryId }) => deliveryId)).toEqual([id]);
  const record = await operations.records.delivery(id);
  expect(record).toMatchObject({ epoch: '2', instanceCount: 3 });
  expect(record?.arriving).toBeUndefined();
});
