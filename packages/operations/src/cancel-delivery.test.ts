import { parseConfig, type Config } from '@dicom-dispatch/core';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { Worker } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cancelDelivery } from './cancel-delivery.ts';
import { pauseTarget, resumeTarget } from './change-target.ts';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { StudyEnqueuer } from '@dicom-dispatch/pipeline';
import { planByName } from '@dicom-dispatch/pipeline';
import { retryDelivery } from './retry-delivery.ts';

const actor = { name: 'tester' };
let server: RedisServer;
let redis: Redis;
let config: Config;
let operations: PipelineContext;
let enqueuer: StudyEnqueuer;
let count = 0;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'error', format: 'json' }));
  const parsed = parseConfig(
    { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { a: { type: 'dummy' }, b: { type: 'dummy' } } },
    Object.values(targetSchemas) as never,
  );
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

/** A study to both targets, as the router enqueues it. */
async function route(): Promise<{ studyTaskId: string; a: string; b: string }> {
  count += 1;
  const studyInstanceUid = `1.2.3.${count}`;
  const { added, studyTaskId } = await enqueuer.enqueue({
    source: 'main',
    epoch: '1',
    study: {
      orthancStudyId: `o-${count}`,
      studyInstanceUid,
      facts: { source: 'main', study: {}, series: [], origin: {} },
      lastUpdate: undefined,
    } as never,
    manifest: [{ sopInstanceUid: `${studyInstanceUid}.1`, version: '1' }] as never,
    rules: ['r'],
    deliveries: planByName(config, ['a', 'b'], { rules: ['r'], priority: 'normal' }),
  });
  const id = (target: string): string => added.find((one) => one.target === target)?.deliveryId ?? '';
  return { studyTaskId, a: id('a'), b: id('b') };
}

const stateOf = async (target: string, id: string) => (await operations.queues.target(target).getJob(id))?.getState();
const studyState = async (id: string) => (await operations.queues.study().getJob(id))?.getState();

describe('a cancelled delivery', () => {
  it('ends immediately, in its queue too, wherever it waited, without a worker', async () => {
    const waiting = await route();
    const delayed = await route();
    const queue = operations.queues.target('a');
    await redis.zrem(queue.toKey('prioritized'), delayed.a);
    await redis.zadd(queue.toKey('delayed'), (Date.now() + 3_600_000) * 4096, delayed.a);
    await pauseTarget(operations, 'a', { name: 'otto' });
    const paused = await route();
    for (const { a } of [waiting, delayed, paused]) {
      await cancelDelivery(operations, a, actor);
      expect(await stateOf('a', a)).toBe('failed');
      expect((await queue.getJob(a))?.failedReason).toBe('cancelled by an operator');
      expect(await operations.records.delivery(a)).toMatchObject({ state: 'cancelled' });
      await expect(cancelDelivery(operations, a, actor)).rejects.toMatchObject({ code: 'conflict' });
    }
    await resumeTarget(operations, 'a');
    expect(await queue.getJobCounts('waiting', 'prioritized', 'delayed')).toEqual({
      waiting: 0,
      prioritized: 0,
      delayed: 0,
    });
  });

  it('keeps its study task waiting until it is retried and has succeeded', async () => {
    const study = await route();
    await cancelDelivery(operations, study.a, actor);
    const { prefix } = config.redis;
    const workers = ['a', 'b'].map(
      (target) => new Worker(`target-${target}`, async () => 'sent', { connection: redis, prefix }),
    );
    await waitFor(async () => (await stateOf('b', study.b)) === 'completed', { message: 'b is delivered' });
    expect(await stateOf('a', study.a)).toBe('failed');
    expect(await studyState(study.studyTaskId)).toBe('waiting-children');
    await retryDelivery(operations, study.a, actor);
    await waitFor(async () => (await stateOf('a', study.a)) === 'completed', { message: 'a is delivered' });
    expect(await studyState(study.studyTaskId)).toBe('waiting');
    await Promise.all(workers.map((worker) => worker.close()));
  });

  it('leaves a job that a worker has to that worker', async () => {
    const { a } = await route();
    const { promise, resolve } = Promise.withResolvers<void>();
    const worker = new Worker('target-a', () => promise, { connection: redis, prefix: config.redis.prefix });
    await waitFor(async () => (await stateOf('a', a)) === 'active', { message: 'a worker takes it' });
    await cancelDelivery(operations, a, actor);
    expect(await stateOf('a', a)).toBe('active');
    resolve();
    await worker.close();
  });
});
