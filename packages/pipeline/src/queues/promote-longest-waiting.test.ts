import { firstJobPriority, jobPriority } from '@dicom-dispatch/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { startTestPipeline, type TestPipeline } from '../testing/start-test-pipeline.ts';
import { callJob, putFirst } from './call-job.ts';
import { jobPlace, jobPlaces } from './job-places.ts';
import { promoteLongestWaiting } from './promote-longest-waiting.ts';
import { waitingParents } from './release-parent.ts';

let test: TestPipeline;
beforeAll(async () => {
  test = await startTestPipeline();
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
});

type Class = 'background' | 'normal' | 'urgent' | 'stat';
const queue = () => test.operations.queues.target('a');
/** A job that has waited since a time. */
const add = (jobId: string, priority: Class | number, timestamp: number) =>
  queue().add(
    'delivery',
    {},
    { jobId, priority: typeof priority === 'number' ? priority : jobPriority(priority), timestamp },
  );
const order = async (): Promise<string[]> => (await queue().getPrioritized()).map(({ id }) => id ?? '');

/** This number of deliveries of a priority start. */
async function start(times: number, priority: Class = 'urgent'): Promise<void> {
  const { prefix } = test.config.redis;
  for (let count = 0; count < times; count += 1) {
    await promoteLongestWaiting(test.redis, prefix, queue(), 'a', priority);
  }
}

describe('a less urgent delivery', () => {
  it('that has waited longest starts next after every eighth start, behind stat only', async () => {
    await add('stat', 'stat', 9);
    await add('urgent', 'urgent', 8);
    await add('normal', 'normal', 2);
    await add('background', 'background', 1);
    await start(7);
    expect(await order()).toEqual(['stat', 'urgent', 'normal', 'background']);
    await start(1);
    expect(await order()).toEqual(['stat', 'background', 'urgent', 'normal']);
    // One at a time.
    await start(8);
    expect(await order()).toEqual(['stat', 'background', 'urgent', 'normal']);
    await queue().remove('background');
    await start(8);
    expect(await order()).toEqual(['stat', 'normal', 'urgent']);
  });

  it('is the first of its class, and the one that has waited longest of all classes', async () => {
    await add('normal 1', 'normal', 5);
    await add('normal 2', 'normal', 1);
    await add('background 1', 'background', 6);
    await add('first', firstJobPriority, 0);
    await start(8);
    expect(await order()).toEqual(['first', 'normal 1', 'normal 2', 'background 1']);
    expect((await queue().getJob('normal 1'))?.priority).toBe(jobPriority('stat') + 5);
  });

  it('is not one of the class that starts, nor a more urgent one', async () => {
    await add('normal', 'normal', 1);
    await add('urgent', 'urgent', 2);
    await start(16, 'normal');
    expect((await queue().getJob('normal'))?.priority).toBe(jobPriority('normal'));
    expect((await queue().getJob('urgent'))?.priority).toBe(jobPriority('urgent'));
    await start(8, 'urgent');
    expect(await order()).toEqual(['normal', 'urgent']);
  });

  it('of another target has its own count', async () => {
    await add('normal', 'normal', 1);
    const other = test.operations.queues.target('b');
    const { prefix } = test.config.redis;
    for (let count = 0; count < 4; count += 1) await promoteLongestWaiting(test.redis, prefix, other, 'b', 'urgent');
    await start(4);
    expect((await queue().getJob('normal'))?.priority).toBe(jobPriority('normal'));
  });
});

describe('a job that an operator sends first', () => {
  it('is before all others, several in the order of the requests', async () => {
    for (const id of ['j-1', 'j-2', 'j-3']) await add(id, 'stat', 1);
    expect(await putFirst(queue(), 'j-2')).toBe(true);
    expect(await order()).toEqual(['j-2', 'j-1', 'j-3']);
    expect(await putFirst(queue(), 'j-3')).toBe(true);
    expect(await order()).toEqual(['j-2', 'j-3', 'j-1']);
  });

  it('must exist', async () => {
    expect(await putFirst(queue(), 'gone')).toBe(false);
  });
});

describe('a call of a job whose place has changed', () => {
  it('reads its place again', async () => {
    await add('j-1', 'normal', 1);
    expect(await callJob(test.redis, queue(), 'j-1', 0, { state: 'delayed', delayedUntil: Date.now() + 60_000 })).toBe(
      'live',
    );
    expect(await callJob(test.redis, queue(), 'j-1', 0, { state: 'completed' })).toBe('live');
    expect(await callJob(test.redis, queue(), 'j-1', 0, { state: 'missing' })).toBe('missing');
    expect((await jobPlace(test.redis, queue(), 'j-1')).state).toBe('ready');
  });

  it('leaves a job that changes at each check unchanged', async () => {
    await queue().add('delivery', {}, { jobId: 'j-1', delay: 60_000 });
    const moving = { promote: () => Promise.reject(Object.assign(new Error('moved'), { code: -3 })) };
    const busy = Object.assign(Object.create(queue()) as ReturnType<typeof queue>, {
      getJob: async () => moving,
      toKey: (name: string) => queue().toKey(name),
    });
    expect(await callJob(test.redis, busy, 'j-1', 0)).toBe('live');
    expect((await jobPlace(test.redis, queue(), 'j-1')).state).toBe('delayed');
  });

  it('passes an error of Redis on', async () => {
    await queue().add('delivery', {}, { jobId: 'j-1', delay: 60_000 });
    const failing = { promote: () => Promise.reject(new Error('OOM command not allowed')) };
    const broken = Object.assign(Object.create(queue()) as ReturnType<typeof queue>, {
      getJob: async () => failing,
      toKey: (name: string) => queue().toKey(name),
    });
    await expect(callJob(test.redis, broken, 'j-1', 0)).rejects.toThrow('OOM');
  });
});

it('a job is brought forward to the time at which it is due, and not before', async () => {
  await queue().add('delivery', {}, { jobId: 'j-1', delay: 7_200_000 });
  expect(await callJob(test.redis, queue(), 'j-1', 3_600_000)).toBe('advanced');
  const { state, delayedUntil = 0 } = await jobPlace(test.redis, queue(), 'j-1');
  expect(state).toBe('delayed');
  expect(Math.abs(delayedUntil - Date.now() - 3_600_000)).toBeLessThan(60_000);
});

it('the places of several jobs are in the order of their ids', async () => {
  await add('j-1', 'normal', 1);
  await queue().add('delivery', {}, { jobId: 'j-2', delay: 60_000 });
  const places = await jobPlaces(test.redis, queue(), ['j-2', 'gone', 'j-1']);
  expect(places.map(({ state }) => state)).toEqual(['delayed', 'missing', 'ready']);
  expect(places.map((one) => 'delayedUntil' in one)).toEqual([true, false, false]);
  expect(await jobPlaces(test.redis, queue(), [])).toEqual([]);
});

it('study tasks that wait are listed from a position on, the oldest first', async () => {
  const ids = [];
  for (const study of ['1.1', '1.2', '1.3']) ids.push((await test.enqueue(study)).studyTaskId);
  const studies = test.operations.queues.study();
  expect(await waitingParents(test.redis, studies, 0, 2)).toEqual(ids.slice(0, 2));
  expect(await waitingParents(test.redis, studies, 2, 2)).toEqual(ids.slice(2));
});

it('a queue of an unknown target is refused, with the targets that there are', () => {
  const { queues } = test.operations;
  expect(queues.known(test.config, 'a')).toBe(queues.target('a'));
  expect(() => queues.known(test.config, 'c')).toThrow('there is no target "c": use one of a, b');
});
