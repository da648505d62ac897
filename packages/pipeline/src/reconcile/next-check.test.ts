import { DispatchError, schedule } from '@dicom-dispatch/core';
import { waitFor } from '@dicom-dispatch/harness';
import { act, fromNow } from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { jobPlace } from '../queues/index.ts';
import { startTestPipeline, type TestPipeline } from '../testing/start-test-pipeline.ts';
import { afterSetBack } from './after-set-back.ts';
import { readReconcileReport, reconcile, startReconciler } from './index.ts';
import { Findings, type ReconcileContext } from './reconcile-context.ts';
import { reconcileDeliveries } from './reconcile-deliveries.ts';
import { writeReport } from './reconcile-report.ts';

let test: TestPipeline;
let prefix: string;
let startedAt: number;
beforeAll(async () => {
  test = await startTestPipeline();
  ({ prefix } = test.config.redis);
});
afterAll(() => test[Symbol.asyncDispose]());
beforeEach(async () => {
  await test.redis.flushall();
  startedAt = await redisNow(test.redis, prefix);
});

const keys = () => test.operations.keys;
const deliver = async (study = '1.2', options = {}): Promise<string> =>
  (await test.enqueue(study, options)).added[0]?.deliveryId ?? '';
const place = async (id: string): Promise<string> =>
  (await jobPlace(test.redis, test.operations.queues.target('a'), id)).state;

async function pass(context: ReconcileContext = test.reconciling, limit = 5_000): Promise<Findings> {
  for (const id of await test.redis.zrange(keys().index('open'), '0', '-1'))
    await test.redis.zadd(keys().index('open'), 0, id);
  const findings = new Findings();
  await reconcileDeliveries(context, findings, limit);
  return findings;
}
const repairs = ({ repairs: found }: Findings): object => Object.fromEntries(found);

/** The next check of a delivery is this number of minutes after a time within the test; undefined: it has none. */
async function expectNextLook(id: string, minutes: number | undefined): Promise<void> {
  const at = await test.redis.zscore(keys().index('open'), id);
  if (minutes === undefined) return expect(at).toBeNull();
  expect(Number(at)).toBeGreaterThanOrEqual(startedAt + minutes * 60_000);
  expect(Number(at)).toBeLessThanOrEqual((await redisNow(test.redis, prefix)) + minutes * 60_000);
}

/** A dispatcher has begun an attempt, and its lock is held. */
async function run(id: string): Promise<string> {
  const lock = `${test.operations.queues.target('a').toKey(id)}:lock`;
  await test.redis.set(lock, 't');
  await test.operations.records.change(id, {
    ...act('begin'),
    patch: { state: 'active', wake: 'attempt', lock, token: 't', worker: 'host-1', nextAttemptAt: fromNow(60_000) },
  });
  return lock;
}

describe('a delivery is checked again', () => {
  it('in ten minutes if it waits for its job', async () => {
    const id = await deliver();
    const findings = await pass();
    expect([repairs(findings), findings.checked]).toEqual([{}, 1]);
    await expectNextLook(id, 10);
  });

  it.each([
    [600_000, 11],
    [86_400_000, 60],
  ])('a minute after it is due in %s ms, in an hour at the latest', async (dueInMs, minutes) => {
    const id = await deliver();
    await test.operations.records.update(id, { wake: 'due', nextAttemptAt: fromNow(dueInMs) });
    await test.operations.queues.target('a').remove(id);
    expect(repairs(await pass())).toEqual({ 'job-added': 1 });
    expect(await place(id)).toBe('delayed');
    await expectNextLook(id, minutes);
  });

  it('in an hour if it is held', async () => {
    const id = await deliver('1.2', { hold: true });
    await pass();
    await expectNextLook(id, 60);
  });

  it('in a minute while an attempt is running', async () => {
    const id = await deliver();
    await run(id);
    expect(repairs(await pass())).toEqual({});
    await expectNextLook(id, 1);
  });

  it('never if it has ended', async () => {
    const id = await deliver();
    await test.operations.records.update(id, { state: 'delivered' });
    await test.redis.zadd(keys().index('open'), 0, id);
    await pass();
    await expectNextLook(id, undefined);
    expect((await test.operations.records.delivery(id))?.state).toBe('delivered');
  });

  it('in a minute if it could not be checked: it does not stop the others', async () => {
    const [broken, other] = [await deliver(), await deliver('1.3')];
    for (const id of [broken, other]) await test.operations.queues.target('a').remove(id);
    const { records } = test.operations;
    const lookAll = vi.spyOn(records, 'lookAll').mockImplementationOnce(async (ids) => {
      lookAll.mockRestore();
      const looked = await records.lookAll(ids);
      return looked.map((one) => {
        if (!one || one instanceof DispatchError || one.record.deliveryId !== broken) return one;
        return { ...one, record: { ...one.record, priority: 'none' } } as never;
      });
    });
    const findings = await pass();
    expect(repairs(findings)).toEqual({ 'job-added': 1 });
    expect(await place(other)).toBe('ready');
    const [problem] = findings.problems.values();
    expect(problem).toMatchObject({ kind: 'failed', subject: broken });
    expect(problem?.text).toContain('Its records could not be read: ');
    expect(findings.checked).toBe(2);
    await expectNextLook(broken, 1);
  });
});

describe('a delivery that is only in an index', () => {
  it('is left in the list while an index of states has it', async () => {
    const id = await deliver();
    await test.operations.queues.target('a').remove(id);
    await test.redis.del(keys().delivery(id));
    await pass();
    await expectNextLook(id, 10);
    await test.redis.zrem(keys().index('state:waiting'), id);
    await test.redis.zadd(keys().index('state:active'), 1, id);
    await pass();
    await expectNextLook(id, 10);
    await test.redis.zrem(keys().index('state:active'), id);
    await pass();
    await expectNextLook(id, undefined);
  });
});

it('no more deliveries are checked than the limit allows', async () => {
  for (const study of ['1.2', '1.3', '1.4']) await deliver(study);
  expect((await pass(test.reconciling, 2)).checked).toBe(2);
});

describe('a cancellation', () => {
  it('of a running attempt is left to its dispatcher', async () => {
    const id = await deliver();
    await run(id);
    await test.redis.set(keys().cancelled(id), '1');
    expect(repairs(await pass())).toEqual({});
    expect((await test.operations.records.delivery(id))?.state).toBe('active');
  });

  it('that was not finished ends the delivery, also a held one', async () => {
    const id = await deliver('1.2', { hold: true });
    await test.redis.set(keys().cancelled(id), '1');
    expect(repairs(await pass())).toEqual({ 'cancel-finished': 1 });
    const record = await test.operations.records.delivery(id);
    expect(record?.state).toBe('cancelled');
    expect(record?.endedAt).toBeGreaterThan(0);
    const text = 'cancelled by an operator';
    expect((await test.operations.records.events(id)).at(-1)).toMatchObject({ kind: 'ended', text });
    expect((await test.operations.queues.target('a').getJob(id))?.failedReason).toBe(text);
    await expectNextLook(id, undefined);
  });
});

it('an attempt whose dispatcher is gone begins again at once', async () => {
  const id = await deliver();
  await test.redis.del(await run(id));
  expect(repairs(await pass())).toEqual({ 'dispatcher-gone': 1 });
  expect(await test.operations.records.delivery(id)).toMatchObject({
    state: 'waiting',
    wake: 'job',
    worker: undefined,
    nextAttemptAt: undefined,
  });
  expect((await test.operations.records.events(id)).at(-1)?.kind).toBe('waiting');
});

describe('a delivery that waits for its window', () => {
  const closed = (): ReturnType<typeof schedule.parse> => {
    const time = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
    return schedule.parse({ windows: [{ from: time(10), to: time(11) }] });
  };
  const waits = async (terms = {}): Promise<string> => {
    const { deliveries } = await test.enqueue('1.2', {
      deliveries: [{ to: 'a', rules: ['r'], priority: 'normal', hold: false, late: 'difference', ...terms }],
    });
    const id = deliveries[0]!.deliveryId;
    await test.operations.records.update(id, { wake: 'schedule', nextAttemptAt: fromNow(7_200_000) });
    const queue = test.operations.queues.target('a');
    await test.redis.zrem(queue.toKey('prioritized'), id);
    await test.redis.zadd(queue.toKey('delayed'), (Date.now() + 7_200_000) * 4096, id);
    return id;
  };
  const withSchedule = (): ReconcileContext => {
    const { targets } = test.config;
    const config = { ...test.config, targets: { ...targets, a: { ...targets['a']!, schedule: closed() } } } as never;
    return { ...test.reconciling, config: () => config };
  };

  it('is left while the schedule of its target is closed', async () => {
    const id = await waits();
    expect(repairs(await pass(withSchedule()))).toEqual({});
    expect(await place(id)).toBe('delayed');
  });

  it('is left while the schedule of its rules is closed', async () => {
    const id = await waits({ schedules: [closed()] });
    expect(repairs(await pass())).toEqual({});
    expect(await place(id)).toBe('delayed');
  });

  it('continues when its schedule was removed, and is checked in ten minutes', async () => {
    const id = await waits();
    expect(repairs(await pass())).toEqual({ 'job-advanced': 1 });
    expect(await place(id)).toBe('ready');
    await expectNextLook(id, 10);
  });
});

it('the problem of an unknown target has its remedy', async () => {
  await deliver();
  const config = { ...test.config, targets: { b: test.config.targets['b'] } } as never;
  const { problems } = await pass({ ...test.reconciling, config: () => config });
  const text =
    'Deliveries wait for the target a, which is not in the configuration: move them to another target, or drop them.';
  expect([...problems.values()]).toEqual([{ kind: 'target-unknown', subject: 'a', text }]);
});

describe('the report', () => {
  it('is empty before the first pass', async () => {
    expect(await readReconcileReport(test.redis, prefix)).toEqual({
      at: undefined,
      ageMs: undefined,
      tookMs: 0,
      checked: 0,
      open: 0,
      problems: [],
      repaired: {},
      repairedInAll: {},
    });
  });

  it('has the repairs of the last pass, and those of all', async () => {
    const findings = new Findings();
    findings.repaired('job-added');
    findings.repaired('job-added');
    findings.checked = 3;
    await writeReport(test.redis, prefix, findings, 1.6);
    await writeReport(test.redis, prefix, findings, 1.6);
    findings.repairs.clear();
    findings.problem({ kind: 'failed', subject: 's', text: 't' });
    await deliver();
    await writeReport(test.redis, prefix, findings, 1.6);
    const report = await readReconcileReport(test.redis, prefix);
    expect(report).toMatchObject({ tookMs: 2, checked: 3, open: 1, repaired: {}, repairedInAll: { 'job-added': 4 } });
    expect(report.problems).toEqual([{ kind: 'failed', subject: 's', text: 't' }]);
    expect(report.ageMs).toBeLessThan(60_000);
    expect(Math.abs((report.at ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('names a problem once, and at most a hundred', () => {
    const findings = new Findings();
    for (let at = 0; at < 200; at += 1) findings.problem({ kind: 'failed', subject: `${at % 150}`, text: `${at}` });
    expect(findings.problems.size).toBe(100);
    findings.problem({ kind: 'not-routed', subject: '0', text: 'x' });
    expect(findings.problems.size).toBe(100);
  });

  it('shows a part that could not be read, and the others are checked', async () => {
    const id = await deliver();
    await test.operations.queues.target('a').remove(id);
    await test.redis.zadd(keys().index('open'), 0, id);
    const broken = vi.spyOn(test.tasks, 'toBeLookedAt').mockRejectedValueOnce(new Error('away'));
    const { problems, repairs: found } = await reconcile(test.reconciling);
    broken.mockRestore();
    const text = 'The tasks could not be read: Error: away';
    expect([...problems.values()]).toEqual([{ kind: 'failed', subject: 'tasks', text }]);
    expect(Object.fromEntries(found)).toEqual({ 'job-added': 1 });
    expect((await readReconcileReport(test.redis, prefix)).problems).toHaveLength(1);
  });
});

describe('limits and pauses', () => {
  it('of unknown targets are not restored', async () => {
    await test.redis.hset(keys().paused, 'gone', '{}');
    await test.redis.hset(keys().configuredLimits, 'gone', '4 none');
    await test.redis.hset(keys().learnt, 'gone', JSON.stringify({ concurrency: 1, at: Date.now() }));
    expect(Object.fromEntries((await reconcile(test.reconciling)).repairs)).toEqual({});
    expect(await test.redis.exists(keys().learnt)).toBe(0);
    expect(await test.operations.queues.target('gone').isPaused()).toBe(false);
  });

  it('learnt limits in an unknown format are removed', async () => {
    await test.redis.hset(keys().learnt, 'a', '{"concurrency":"many"}');
    await reconcile(test.reconciling);
    expect(await test.redis.exists(keys().learnt)).toBe(0);
  });

  it('that are in place are not written again', async () => {
    const queue = test.operations.queues.target('a');
    await queue.setGlobalConcurrency(3);
    await queue.pause();
    await test.redis.hset(keys().paused, 'a', '{}');
    await test.redis.hset(keys().configuredLimits, 'a', '4 none');
    expect(Object.fromEntries((await reconcile(test.reconciling)).repairs)).toEqual({});
    expect(await queue.getGlobalConcurrency()).toBe(3);
    await queue.resume();
  });
});

describe('when the clock of Redis was set back', () => {
  const day = 86_400_000;

  it('a small step is ignored', async () => {
    await test.redis.hset(keys().reconcileReport, 'at', Date.now() + 10_000);
    expect(Object.fromEntries((await reconcile(test.reconciling)).repairs)).toEqual({});
  });

  it('all that was postponed is due: also steps after success, and studies that wait for the router', async () => {
    const onSuccess = { labels: ['sent'], metadata: {}, unprotect: false, delete: false };
    const { studyTaskId } = await test.enqueue('1.2', { onSuccess });
    const due = Date.now() + day;
    await test.tasks.putOff(studyTaskId, day, {
      code: 'source-unreachable',
      stage: 'finalize',
      fault: 'source',
      message: 'm',
      remedy: 'r',
    });
    const members = Array.from({ length: 501 }, (_, at) => [due, `o-${at}`]).flat() as [number, string];
    await test.redis.zadd(keys().waits('main'), ...members);
    await test.redis.zadd(keys().feedLater('main'), 1, 'o-due', due, 'o-late');
    const queue = test.operations.queues.target('a');
    const pauses = [queue, test.operations.queues.study()].flatMap((one) => [
      one.toKey('limiter'),
      one.toKey('stalled-check'),
    ]);
    for (const key of pauses) await test.redis.set(key, '1', 'PX', day);
    await afterSetBack(test.reconciling);
    expect((await test.tasks.read(studyTaskId))?.nextAttemptAt).toBeLessThanOrEqual(Date.now());
    expect(await test.redis.zcount(keys().waits('main'), Date.now() + 1_000, '+inf')).toBe(0);
    expect(await test.redis.zscore(keys().feedLater('main'), 'o-due')).toBe('1');
    expect(await test.redis.zcount(keys().feedLater('main'), Date.now() + 1_000, '+inf')).toBe(0);
    expect(await test.redis.exists(...pauses)).toBe(0);
  });
});

describe('the reconciler', () => {
  it('leaves the pass to the process that has the lease, until it expires', async () => {
    await test.redis.set(keys().reconcileLease, 'another');
    // Only an attempt to acquire the lease reads the time that it has left.
    const attempts = async (): Promise<number> =>
      Number(/cmdstat_pttl:calls=(\d+)/.exec(await test.redis.info('commandstats'))?.[1] ?? 0);
    const before = await attempts();
    const reconciler = startReconciler(test.reconciling, { everyMs: 600 });
    try {
      await waitFor(async () => (await attempts()) >= before + 2);
      expect(await isReported()).toBe(false);
      // As if it had expired.
      await test.redis.del(keys().reconcileLease);
      await waitFor(isReported);
    } finally {
      reconciler.stop();
    }
  });

  const isReported = async (): Promise<boolean> => (await readReconcileReport(test.redis, prefix)).at !== undefined;

  /** Lines that a reconciler has logged when the first one appears, or when it has reported a pass. */
  async function logged(
    context: Partial<ReconcileContext>,
    until: 'line' | 'report' = 'line',
  ): Promise<[string, unknown, string][]> {
    const lines: [string, unknown, string][] = [];
    const log = Object.fromEntries(
      ['info', 'warn', 'error'].map((level) => [
        level,
        (fields: unknown, text: string) => lines.push([level, fields, text]),
      ]),
    ) as never;
    const reconciler = startReconciler({ ...test.reconciling, ...context, log }, { everyMs: 3_000 });
    try {
      await waitFor(until === 'report' ? isReported : () => lines.length > 0);
    } finally {
      reconciler.stop();
    }
    return lines;
  }

  it('logs what it repaired', async () => {
    const id = await deliver();
    await test.operations.queues.target('a').remove(id);
    await test.redis.zadd(keys().index('open'), 0, id);
    const fields = { repairs: { 'job-added': 1 } };
    expect(await logged({})).toEqual([['warn', fields, 'records and jobs were reconciled']]);
  });

  it('logs what it could not read, and nothing else', async () => {
    const broken = vi.spyOn(test.tasks, 'toBeLookedAt').mockRejectedValue(new Error('away'));
    onTestFinished(() => broken.mockRestore());
    const fields = { failed: [expect.objectContaining({ kind: 'failed', subject: 'tasks' })] };
    expect(await logged({})).toEqual([['error', fields, 'reconciliation could not look at everything']]);
  });

  it('tries again after an error', async () => {
    const config = vi.fn(test.reconciling.config).mockImplementationOnce(() => {
      throw new Error('away');
    });
    const fields = { err: new Error('away') };
    expect(await logged({ config }, 'report')).toEqual([['warn', fields, 'reconciliation failed; trying again']]);
  });
});
