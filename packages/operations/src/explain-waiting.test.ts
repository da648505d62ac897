import { fromNow } from '@dicom-dispatch/state/records';
import { DispatchError, parseConfig, targetQueue, type Config, type DeliveryData } from '@dicom-dispatch/core';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { Worker } from 'bullmq';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cancelDelivery } from './cancel-delivery.ts';
import { pauseTarget, resumeTarget } from './change-target.ts';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { explainWaiting, type Explanation } from './explain-waiting.ts';
import { findDelivery } from './find-delivery.ts';
import { holdDelivery, releaseDelivery } from './hold-delivery.ts';
import { retryDelivery } from './retry-delivery.ts';

const actor = { name: 'tester' };
let server: RedisServer;
let redis: Redis;
let config: Config;
let operations: PipelineContext;
let count = 0;
let id: string;

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'error', format: 'json' }));
  const parsed = parseConfig(
    {
      sources: { main: { url: 'http://127.0.0.1:1' } },
      targets: { a: { type: 'dummy' }, b: { type: 'dummy', attempts: 4 }, off: { type: 'dummy', enabled: false } },
    },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  config = parsed.config;
  operations = openPipeline(config, redis);
});
afterAll(async () => {
  await operations.close();
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  id = await deliver('a');
});

/** A delivery with its record and its job, as created by the router. */
async function deliver(target: string): Promise<string> {
  count += 1;
  const data: DeliveryData = {
    deliveryId: `d-${String(count).padStart(20, '0')}`,
    target,
    source: 'main',
    epoch: '1',
    studyInstanceUid: `1.2.3.${count}`,
    orthancStudyId: `o-${count}`,
    contentHash: 'h',
    instanceCount: 5,
    modalities: ['CT'],
    studyTaskId: `s-${count}`,
    rules: ['r'],
    priority: 'normal',
    routedAt: Date.now(),
  };
  await operations.records.routed({ ...data, targets: [target], lastUpdate: undefined } as never, [data]);
  await operations.queues
    .target(target)
    .add('delivery', data, { jobId: data.deliveryId, priority: 30, attempts: 4, backoff: { type: 'custom' } });
  return data.deliveryId;
}

async function explain(deliveryId = id): Promise<Explanation> {
  return explainWaiting(operations, await findDelivery(operations, deliveryId));
}

async function beat(): Promise<void> {
  const { workers, worker } = operations.keys;
  await redis.zadd(workers, Date.now(), 'w1');
  await redis.set(worker('w1'), JSON.stringify({ host: 'h', pid: 1, startedAt: 1, active: [] }), 'PX', 60_000);
}

describe('why a delivery waits', () => {
  it('no dispatcher runs; then it is next, or so many are before it', async () => {
    await redis.del(operations.keys.workers);
    expect(await explain()).toMatchObject({ reason: 'no-dispatcher' });
    await beat();
    expect(await explain(await deliver('a'))).toMatchObject({
      reason: 'next',
      text: expect.stringMatching(/^\d+ deliveries come before it/),
    });
  });

  it('it is held, until it is released', async () => {
    await holdDelivery(operations, id, actor);
    expect(await explain()).toEqual({
      reason: 'held',
      text: 'It is held until somebody releases it.',
      until: undefined,
    });
    expect(await releaseDelivery(operations, id, actor)).toBe(true);
    expect(await releaseDelivery(operations, id, actor)).toBe(false);
    expect((await explain()).reason).not.toBe('held');
  });

  it('the target is paused, or off', async () => {
    await pauseTarget(operations, 'a', { name: 'otto' });
    expect(await explain()).toMatchObject({ reason: 'paused', text: 'The target a is paused by otto.' });
    await resumeTarget(operations, 'a');
    expect(await explain(await deliver('off'))).toMatchObject({ reason: 'target-off' });
  });

  it('the circuit is open: why, and until when', async () => {
    await operations.circuits.fail('a', {
      code: 'target-unreachable',
      stage: 'connect',
      fault: 'target',
      message: 'nothing listens there',
      remedy: 'start it',
    });
    const { reason, text, until } = await explain();
    expect(reason).toBe('circuit-open');
    expect(text).toMatch(/^The target a cannot be used \(nothing listens there\); the next attempt is in .+\.$/);
    expect(until).toBeGreaterThan(Date.now() - 1000);
    await operations.circuits.succeed('a');
  });

  it('its last attempt failed: which, why, and when the next one is', async () => {
    const other = await deliver('b');
    const error = {
      code: 'target-full',
      stage: 'transfer',
      fault: 'target',
      message: 'no space',
      remedy: 'x',
    } as const;
    const worker = new Worker(
      targetQueue('b'),
      async () => {
        const pause = { wake: 'due', failures: 1, nextAttemptAt: fromNow(90_000) } as const;
        await operations.records.update(
          other,
          { state: 'waiting', error, failStage: 'transfer', ...pause },
          { kind: 'failed', stage: 'transfer', code: 'target-full', text: 'no space' },
        );
        throw new Error('no space');
      },
      { connection: redis, prefix: config.redis.prefix, settings: { backoffStrategy: () => 90_000 } },
    );
    const job = await operations.queues.target('b').getJob(other);
    await waitFor(async () => (await job?.getState()) === 'delayed');
    await worker.close();
    const { reason, text, until } = await explain(other);
    expect(reason).toBe('back-off');
    expect(text).toMatch(/^Attempt 1 of 4 failed \(transfer: no space\); the next one is in 1m \d+s\.$/);
    expect(until).toBeGreaterThan(Date.now());
    await retryDelivery(operations, other, actor);
    expect(await job?.getState()).toBe('prioritized');
  });

  it('it has ended: how', async () => {
    await operations.records.update(id, { state: 'delivered', total: 5, confirmed: 5 });
    expect((await explain()).text).toBe('It is delivered: the target has confirmed all 5 instances.');
    await expect(retryDelivery(operations, id, actor)).rejects.toThrow(/is delivered/);
  });
});

describe('cancel and retry', () => {
  it('a cancelled waiting delivery never starts, and runs when it is retried', async () => {
    await cancelDelivery(operations, id, actor);
    expect(await redis.exists(operations.keys.cancelled(id))).toBe(1);
    expect((await explain()).text).toBe('An operator cancelled it.');
    await expect(cancelDelivery(operations, id, actor)).rejects.toThrow(/has already ended/);
    await retryDelivery(operations, id, actor);
    expect(await redis.exists(operations.keys.cancelled(id))).toBe(0);
    expect((await operations.records.events(id)).map(({ text }) => text)).toEqual([
      'cancelled by tester',
      'retried by tester',
    ]);
  });

  it('a delivery that no rule wants any more was cancelled by no operator', async () => {
    const error = new DispatchError('not-wanted', 'no rule sends the whole study to a', {
      stage: 'resolve',
    }).toRecord();
    await operations.records.update(id, { state: 'cancelled', error });
    expect((await explain()).text).toBe(
      `It was cancelled automatically: no rule sends the whole study to a. ${error.remedy}`,
    );
  });

  it('a delivery with a lost job gets it back', async () => {
    await (await operations.queues.target('a').getJob(id))?.remove();
    expect((await explain()).reason).toBe('job-missing');
    await retryDelivery(operations, id, actor);
    const job = await operations.queues.target('a').getJob(id);
    expect(job?.data).toMatchObject({ deliveryId: id, target: 'a' });
    expect(job?.opts).toMatchObject({ priority: 30 });
  });
});
