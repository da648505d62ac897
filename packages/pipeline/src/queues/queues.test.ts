import { workerOptions } from '@dicom-dispatch/runtime';
import { waitFor } from '@dicom-dispatch/harness';
import { UnrecoverableError, Worker, type Job, type Queue } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestPipeline, type TestPipeline } from '../testing/start-test-pipeline.ts';
import { callJob, endWaitingJob, jobPlace, releaseParent, settleJob, type JobEnd } from './index.ts';

/** Tests of our use of BullMQ's internal keys: after an upgrade of BullMQ they show whether it is still correct. */
let test: TestPipeline;
let queue: Queue;
let count = 0;
let id: string;
const workers: Worker[] = [];

beforeAll(async () => {
  test = await startTestPipeline();
  queue = test.operations.queues.target('a');
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  count += 1;
  id = `d-${count}`;
  await queue.add('delivery', {}, { jobId: id, priority: 30 });
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.close()));
  await queue.obliterate({ force: true });
});

const place = async (): Promise<string> => (await jobPlace(test.redis, queue, id)).state;

function work(run: (job: Job, token: string) => Promise<unknown>, lockMs = 15_000): Worker {
  const worker = new Worker('target-a', async (job, token) => run(job, token ?? ''), {
    ...workerOptions(test.redis, test.config.redis.prefix, 2, lockMs),
  });
  worker.on('error', () => {});
  void worker.run().catch(() => {});
  workers.push(worker);
  return worker;
}

describe('where a job is', () => {
  it('is returned for every list of BullMQ', async () => {
    expect(await place()).toBe('ready');
    const job = await queue.getJob(id);
    await queue.pause();
    expect(await place()).toBe('ready');
    await queue.resume();
    const { promise, resolve } = Promise.withResolvers<void>();
    const worker = work(async () => promise);
    await waitFor(async () => (await place()) === 'active');
    await test.redis.del(`${queue.toKey(id)}:lock`);
    expect(await place()).toBe('stalled');
    await test.redis.set(`${queue.toKey(id)}:lock`, 'x');
    resolve();
    await worker.close(true);
    await job?.remove().catch(() => {});
    await test.redis.del(queue.toKey(id), queue.toKey('active'));
    expect(await place()).toBe('missing');
    await queue.add('delivery', {}, { jobId: id, priority: 30, delay: 60_000 });
    const delayed = await jobPlace(test.redis, queue, id);
    expect(delayed.state).toBe('delayed');
    expect(Math.abs((delayed.delayedUntil ?? 0) - Date.now() - 60_000)).toBeLessThan(5_000);
    await test.redis.zrem(queue.toKey('delayed'), id);
    expect(await place()).toBe('nowhere');
  });
});

describe('a call', () => {
  it('brings a job forward that would come too late, and leaves one that is in time', async () => {
    await queue.remove(id);
    await queue.add('delivery', {}, { jobId: id, priority: 30, delay: 365 * 86_400_000 });
    expect(await callJob(test.redis, queue, id, 3_600_000)).toBe('advanced');
    expect(await callJob(test.redis, queue, id, 3_600_000)).toBe('live');
    expect(await callJob(test.redis, queue, id, 0)).toBe('advanced');
    expect(await place()).toBe('ready');
    expect(await callJob(test.redis, queue, id, 0)).toBe('live');
  });

  it('restarts an ended job, also one that BullMQ had failed', async () => {
    const worker = work(async () => {
      throw new UnrecoverableError('no');
    });
    await waitFor(async () => (await place()) === 'failed');
    await worker.close();
    await test.redis.hset(queue.toKey(id), 'defa', 'job stalled more than allowable limit', 'stc', 21);
    expect(await callJob(test.redis, queue, id, 0)).toBe('revived');
    expect(await place()).toBe('ready');
    work(async () => 'done');
    await waitFor(async () => (await place()) === 'completed');
    expect(await callJob(test.redis, queue, id, 0)).toBe('revived');
  });

  it('returns that it does not exist, also for a job in no list', async () => {
    await test.redis.zrem(queue.toKey('prioritized'), id);
    expect(await place()).toBe('nowhere');
    expect(await callJob(test.redis, queue, id, 0)).toBe('missing');
    expect(await place()).toBe('missing');
    expect(await callJob(test.redis, queue, id, 0)).toBe('missing');
  });

  it('from many at a time has one effect', async () => {
    const worker = work(async () => 'done');
    await waitFor(async () => (await place()) === 'completed');
    await worker.close();
    const results = await Promise.all(Array.from({ length: 8 }, () => callJob(test.redis, queue, id, 0)));
    expect(results.filter((one) => one === 'revived')).toHaveLength(1);
    expect(await queue.getJobCounts('prioritized', 'waiting')).toEqual({ prioritized: 1, waiting: 0 });
  });
});

describe('a worker that releases a job', () => {
  async function settle(end: JobEnd, before: (job: Job) => Promise<void> = async () => {}): Promise<boolean> {
    let isBack = false;
    let isFirst = true;
    const { promise: released, resolve } = Promise.withResolvers<void>();
    work(async (job, token) => {
      if (!isFirst) return new Promise<never>(() => {});
      isFirst = false;
      await before(job);
      return settleJob(job, token, end, async () => void (isBack = true)).finally(resolve);
    });
    await released;
    return isBack;
  }

  it('puts it off without counting anything', async () => {
    expect(await settle({ kind: 'later', inMs: 60_000 })).toBe(true);
    expect(await place()).toBe('delayed');
    expect(await queue.getJob(id)).toMatchObject({ attemptsMade: 0 });
  });

  it('puts it back to the place that it had', async () => {
    await queue.add('delivery', {}, { jobId: `${id}-later`, priority: 30 });
    const first = { kind: 'front' } as const;
    const seen: string[] = [];
    const worker = work(async (job, token) => {
      seen.push(job.id ?? '');
      if (seen.length === 3) return new Promise<never>(() => {});
      if (seen.length > 1) return 'done';
      return settleJob(job, token, first, () => worker.pause(true).then(() => worker.resume()));
    });
    worker.concurrency = 1;
    await waitFor(() => seen.length >= 2);
    expect(seen.slice(0, 2)).toEqual([id, id]);
    await worker.close(true);
  });

  it('ends it, and leaves one that another worker has by now', async () => {
    expect(await settle({ kind: 'failed', reason: 'no more' })).toBe(false);
    // BullMQ ends it after our code.
    await waitFor(async () => (await place()) === 'failed');
    expect((await queue.getJob(id))?.failedReason).toBe('no more');
    await Promise.all(workers.splice(0).map((worker) => worker.close()));
    await callJob(test.redis, queue, id, 0);
    const steal = async (job: Job): Promise<void> => {
      await test.redis.set(`${queue.toKey(job.id ?? '')}:lock`, 'of another');
    };
    expect(await settle({ kind: 'later', inMs: 60_000 }, steal)).toBe(false);
    expect(await place()).toBe('active');
    await Promise.all(workers.splice(0).map((worker) => worker.close(true)));
  });

  it('retries until Redis accepts it', async () => {
    const failing = { left: 2 };
    let calls = 0;
    const job = {
      async moveToDelayed() {
        calls += 1;
        if (failing.left-- > 0) throw new Error('OOM command not allowed');
      },
    } as unknown as Job;
    await expect(settleJob(job, 't', { kind: 'later', inMs: 1 })).rejects.toMatchObject({ name: 'DelayedError' });
    expect(calls).toBe(3);
  });
});

it('a waiting job is ended where it is; one that a worker has is not', async () => {
  expect(await endWaitingJob(queue, test.redis, id, 'cancelled')).toBe(true);
  expect(await place()).toBe('failed');
  expect(await endWaitingJob(queue, test.redis, id, 'cancelled')).toBe(false);
});

it('a study task is released whose deliveries BullMQ still waits for', async () => {
  const { studyTaskId, added } = await test.enqueue('1.2.77', { to: ['a', 'b'] });
  const studies = test.operations.queues.study();
  expect((await jobPlace(test.redis, studies, studyTaskId)).state).toBe('waiting-children');
  for (const { target, deliveryId } of added) {
    await test.redis.hdel(test.operations.queues.target(target).toKey(deliveryId), 'parentKey', 'parent');
  }
  expect(await releaseParent(test.redis, studies, studyTaskId)).toBe(true);
  expect(await releaseParent(test.redis, studies, studyTaskId)).toBe(false);
  const ran: string[] = [];
  const worker = new Worker('study', async (job) => void ran.push(job.id ?? ''), {
    ...workerOptions(test.redis, test.config.redis.prefix, 1, 15_000),
  });
  void worker.run().catch(() => {});
  workers.push(worker);
  await waitFor(async () => (await jobPlace(test.redis, studies, studyTaskId)).state === 'completed');
  expect(ran).toEqual([studyTaskId]);
});
