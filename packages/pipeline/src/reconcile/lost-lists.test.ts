import { redisKeys } from '@dicom-dispatch/state/keys';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { startTestPipeline, type TestPipeline } from '../testing/start-test-pipeline.ts';
import { mendRecords, restoreRecords } from './mend-records.ts';
import { reconcileDeliveries } from './reconcile-deliveries.ts';
import { Findings } from './reconcile-context.ts';
import { reconcileTasks } from './reconcile-tasks.ts';

let test: TestPipeline;
let keys: ReturnType<typeof redisKeys>;
beforeAll(async () => {
  test = await startTestPipeline();
  keys = redisKeys(test.config.redis.prefix);
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
  vi.restoreAllMocks();
});

const study = { source: 'main', orthancStudyId: 'o-1.2' };
const list = () => keys.studyDeliveries('main', 'o-1.2');
const isRoutedAgain = async () => (await test.redis.zscore(keys.waits('main'), 'o-1.2')) !== null;
const listed = async () => (await test.operations.records.deliveriesOf(study)).map(({ target }) => target).toSorted();

/** Checks the records once. */
async function mend(): Promise<Record<string, number>> {
  const findings = new Findings();
  await mendRecords(test.reconciling, findings);
  expect([...findings.problems.values()]).toEqual([]);
  return Object.fromEntries(findings.repairs);
}

/** A study at `a` and `b`, of which nothing is in a queue. */
async function delivered(): Promise<Readonly<Record<string, string>>> {
  const { added } = await test.enqueue('1.2', { to: ['a', 'b'] });
  for (const { target, deliveryId } of added) {
    await test.operations.records.update(deliveryId, { state: 'delivered' });
    await test.operations.queues.target(target).remove(deliveryId);
  }
  return Object.fromEntries(added.map(({ target, deliveryId }) => [target, deliveryId]));
}

describe('deliveries that are not in the list of their study', () => {
  it.each([[['a', 'b']], [['b']]])('are entered again by their ids: %j', async (missing) => {
    const ids = await delivered();
    for (const target of missing) {
      await test.redis.zrem(list(), ids[target] ?? '');
      // The indexes do not name them either.
      for (const index of await test.redis.keys(keys.index('*'))) {
        if ((await test.redis.type(index)) === 'zset') await test.redis.zrem(index, ids[target] ?? '');
      }
    }
    const logged = vi.spyOn(test.reconciling.log, 'error');
    expect(await mend()).toMatchObject({ 'entry-restored': expect.any(Number) });
    expect(await listed()).toEqual(['a', 'b']);
    expect(await isRoutedAgain()).toBe(false);
    expect(await mend()).toEqual({});
    expect(logged).not.toHaveBeenCalled();
  });

  it('and have no record are routed again, to their targets only', async () => {
    const ids = await delivered();
    await test.redis.zrem(list(), ids['b'] ?? '');
    await test.redis.del(keys.delivery(ids['b'] ?? ''));
    await test.redis.zrem(keys.index('state:delivered'), ids['b'] ?? '');
    expect(await mend()).toEqual({ 'routed-again': 1 });
    const settled = JSON.parse((await test.redis.hget(keys.settled('main'), 'o-1.2')) ?? '{}') as object;
    expect(settled).toMatchObject({ only: ['b'] });
    expect(await listed()).toEqual(['a']);
  });
});

describe('a delivery without a record', () => {
  it('is restored from the queue of a target that is no longer in the configuration', async () => {
    const { added } = await test.enqueue('1.2', { to: ['b'] });
    const { deliveryId } = added[0]!;
    await test.redis.del(keys.delivery(deliveryId));
    const { b: _, ...targets } = test.config.targets;
    const context = { ...test.reconciling, config: () => ({ ...test.config, targets }) };
    expect(await restoreRecords(context, new Findings(), [deliveryId])).toEqual(new Set([deliveryId]));
    expect(await test.operations.records.delivery(deliveryId)).toMatchObject({ target: 'b' });
  });

  it('is not restored from a job in an unknown format, or one that is removed meanwhile', async () => {
    const queue = test.operations.queues.target('a');
    await queue.add('delivery', { of: 'another version' }, { jobId: 'd-odd' });
    await queue.add('delivery', {}, { jobId: 'd-removed' });
    const job = queue.getJob.bind(queue);
    vi.spyOn(queue, 'getJob').mockImplementation(async (id) => (id === 'd-removed' ? undefined : job(id)) as never);
    const findings = new Findings();
    expect(await restoreRecords(test.reconciling, findings, ['d-odd', 'd-removed', 'd-none'])).toEqual(new Set());
    expect(findings.repairs.size).toBe(0);
  });
});

it('a step that has failed without an error names the actions that are left', async () => {
  const onSuccess = { labels: ['sent'], metadata: {}, unprotect: false, delete: false };
  const { studyTaskId, added } = await test.enqueue('1.2', { onSuccess });
  await test.operations.records.update(added[0]!.deliveryId, { state: 'delivered' });
  vi.spyOn(test.tasks, 'overdue').mockResolvedValue([
    { ...(await test.tasks.readAll([studyTaskId]))[0]!, attempts: 1, error: undefined, left: ['label sent', 'delete'] },
  ] as never);
  const findings = new Findings();
  await reconcileTasks(test.reconciling, findings, 100);
  expect([...findings.problems.values()]).toMatchObject([
    {
      kind: 'after-success',
      text: 'The step after success in the source main has failed after 1 attempts: label sent; delete',
    },
  ]);
});

describe('a damaged record of a study', () => {
  it('is reported with its key and a remedy, and stays; without it the study is routed again', async () => {
    await delivered();
    const key = keys.study('main', 'o-1.2');
    await test.redis.set(key, '{}');
    await test.redis.zrem(keys.index('studies'), 'main o-1.2');
    const findings = new Findings();
    await mendRecords(test.reconciling, findings);
    const [problem, ...others] = findings.problems.values();
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ kind: 'failed', subject: 'main o-1.2' });
    expect(problem?.text).toContain(`the record ${key} in Redis is damaged. Delete the named key`);
    expect(await test.redis.get(key)).toBe('{}');
    await test.redis.del(key);
    expect(await mend()).toEqual({ 'routed-again': 1 });
    expect(await isRoutedAgain()).toBe(true);
    expect(await listed()).toEqual(['a', 'b']);
  });
});

describe('a damaged record of a delivery', () => {
  it('is reported once with its key and a remedy, and does not stop the repair of other deliveries', async () => {
    const broken = (await test.enqueue('1.3')).added[0]!.deliveryId;
    const { deliveryId: lost } = (await test.enqueue('1.4')).added[0]!;
    await test.redis.hset(keys.delivery(broken), 'data', 'no JSON');
    await test.operations.queues.target('a').remove(lost);
    for (const id of [broken, lost]) await test.redis.zadd(keys.index('open'), 0, id);
    const findings = new Findings();
    await reconcileDeliveries(test.reconciling, findings, 100);
    expect(Object.fromEntries(findings.repairs)).toEqual({ 'job-added': 1 });
    await test.redis.zrem(keys.index('source:main'), lost);
    await mendRecords(test.reconciling, findings);
    expect(Object.fromEntries(findings.repairs)).toEqual({ 'job-added': 1, 'entry-restored': 1 });
    const key = keys.delivery(broken);
    expect([...findings.problems.values()]).toMatchObject([
      {
        kind: 'failed',
        subject: broken,
        text: expect.stringContaining(`the record ${key} in Redis is damaged. Delete`),
      },
    ]);
    expect(await test.redis.hget(key, 'data')).toBe('no JSON');
  });
});
