import { ledgerKeyOf, parseConfig, studyQueue, targetQueue, type Config } from '@dicom-dispatch/core';
import { deliveryStates, type DeliveryState } from '@dicom-dispatch/state/records';
import { startRedis, waitFor, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, workerOptions, type Redis } from '@dicom-dispatch/runtime';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { UnrecoverableError, Worker } from 'bullmq';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { openPipeline, type PipelineContext } from '@dicom-dispatch/pipeline';
import { StudyEnqueuer, type Enqueued } from '@dicom-dispatch/pipeline';
import { forgetStudies } from './forget-studies.ts';
import { forgetStudy } from '@dicom-dispatch/pipeline';
import { planByName } from '@dicom-dispatch/pipeline';
import { retryDelivery } from './retry-delivery.ts';

let server: RedisServer;
let redis: Redis;
let config: Config;
let operations: PipelineContext;
let enqueuer: StudyEnqueuer;
const workers: Worker[] = [];
/** Studies whose study task has run. */
const tasksRun: string[] = [];

beforeAll(async () => {
  server = await startRedis({ appendonly: false });
  redis = connectRedis(server.url, 'test', createLogger('test', { level: 'error', format: 'json' }));
  const parsed = parseConfig(
    {
      sources: { main: { url: 'http://127.0.0.1:1' }, other: { url: 'http://127.0.0.1:2' } },
      targets: { a: { type: 'dummy' }, b: { type: 'dummy' }, 'to-other': { type: 'dummy', source: 'other' } },
      groups: { any: { targets: ['a', 'b'], strategy: 'first-available' } },
    },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  config = parsed.config;
  operations = openPipeline(config, redis);
  enqueuer = new StudyEnqueuer(config, redis, operations.records);
});
beforeEach(async () => {
  await redis.flushall();
  tasksRun.length = 0;
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.close();
});
afterAll(async () => {
  await enqueuer.close();
  await operations.close();
  redis.disconnect();
  await server.stop();
});

/** Ends jobs like dispatchers: those selected by `fails` fail permanently. */
function startWorkers(fails: (target: string) => boolean = () => false): void {
  const { prefix } = config.redis;
  for (const target of Object.keys(config.targets)) {
    workers.push(
      new Worker(
        targetQueue(target),
        async () => {
          if (fails(target)) throw new UnrecoverableError('it fails');
        },
        workerOptions(redis, prefix, 4, 15_000),
      ),
    );
  }
  workers.push(
    new Worker(
      studyQueue,
      async (job) => void tasksRun.push((job.data as { studyInstanceUid: string }).studyInstanceUid),
      workerOptions(redis, prefix, 4, 15_000),
    ),
  );
  for (const worker of workers) {
    worker.on('error', () => {});
    void worker.run().catch(() => {});
  }
}

interface Wish {
  readonly to?: readonly string[];
  readonly instances?: number;
  readonly source?: string;
}

function enqueue(studyInstanceUid: string, { to = ['a'], instances = 2, source = 'main' }: Wish = {}) {
  return enqueuer.enqueue({
    source,
    epoch: '1',
    study: {
      orthancStudyId: `o-${studyInstanceUid}`,
      studyInstanceUid,
      facts: { source, study: {}, series: [], origin: {} },
      lastUpdate: undefined,
    } as never,
    manifest: Array.from({ length: instances }, (_, index) => ({
      sopInstanceUid: `${studyInstanceUid}.${index}`,
      version: '1',
    })) as never,
    rules: ['r'],
    deliveries: planByName(config, to, { rules: ['r'], priority: 'normal' }),
  });
}

/** Waits until the jobs are idle, and ends the deliveries in the records like dispatchers. */
async function end(enqueued: Enqueued, stateOf: (target: string) => DeliveryState = () => 'delivered'): Promise<void> {
  for (const delivery of enqueued.added) {
    const state = stateOf(delivery.target);
    const isGood = state === 'delivered' || state === 'moved';
    const queue = operations.queues.target(delivery.target);
    await waitFor(async () => (await queue.getJobState(delivery.deliveryId)) === (isGood ? 'completed' : 'failed'));
    await operations.ledger.confirm(ledgerKeyOf(delivery), [
      { sopInstanceUid: `${delivery.studyInstanceUid}.0`, version: '1', attempt: 1, deliveryId: delivery.deliveryId },
    ]);
    await operations.sharedUids.add(delivery, [`${delivery.studyInstanceUid}.0`]);
    const error = { code: 'target-error', stage: 'transfer', fault: 'target', message: 'no', remedy: 'look' } as const;
    await operations.records.change(delivery.deliveryId, {
      from: deliveryStates,
      patch: { state, ...(!isGood && { error: error as never, failStage: 'transfer' as const }) },
      event: { kind: 'ended', text: 'ended' },
    });
  }
  if (enqueued.added.every(({ target }) => stateOf(target) === 'delivered')) {
    await waitFor(async () => (await operations.queues.study().getJobState(enqueued.studyTaskId)) === 'completed');
  }
}

type Terms = Partial<Parameters<typeof forgetStudy>[2]>;

/** Forgets a study as if its last change were long ago. */
function forget(studyInstanceUid: string, terms: Terms = {}): ReturnType<typeof forgetStudy> {
  return forgetStudy(
    operations,
    { source: 'main', orthancStudyId: `o-${studyInstanceUid}` },
    { before: Date.now() + 60_000, ...terms },
  );
}

/** Every key with its content, except data that a queue has once. */
async function everything(): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>();
  for (const key of await redis.keys('*')) {
    if (/:(meta|id|pc|marker|stalled-check|stalled|events|targets|index:errors)$/.test(key)) continue;
    const type = await redis.type(key);
    found.set(
      key,
      type === 'zset'
        ? await redis.zrange(key, '0', '-1')
        : type === 'hash'
          ? await redis.hgetall(key)
          : type === 'set'
            ? await redis.smembers(key)
            : type === 'list'
              ? await redis.lrange(key, 0, -1)
              : await redis.get(key),
    );
  }
  return found;
}

/** The counts, compared with the records themselves. */
async function expectCountsToAgree(): Promise<void> {
  const records = [];
  for (const key of await redis.keys('{dicom-dispatch}:delivery:*')) records.push(await redis.hgetall(key));
  const counts = await operations.records.counts();
  for (const [state, count] of Object.entries(counts)) {
    expect(count, state).toBe(records.filter((record) => record['state'] === state).length);
  }
  const ofTargets = await Promise.all(Object.keys(config.targets).map((target) => operations.records.counts(target)));
  const sum = ofTargets.flatMap((one) => Object.values(one)).reduce((total, count) => total + count, 0);
  expect(sum).toBe(records.length);
  expect(await operations.records.countDeliveries({ rule: 'r' })).toBe(records.length);
  const groups = await operations.records.errors();
  expect(groups.reduce((total, { count }) => total + count, 0)).toBe(records.filter((one) => one['error']).length);
}

test('nothing of it is left, and other studies are unchanged', async () => {
  startWorkers((target) => target === 'b');
  await end(await enqueue('1.2.1', { to: ['any'] }));
  const other = await everything();
  await end(await enqueue('1.2.2', { to: ['any', 'b', 'to-other'] }), (target) =>
    target === 'b' ? 'cancelled' : 'delivered',
  );
  await redis.zadd(operations.keys.left('main'), 1, 'o-1.2.2');
  await expectCountsToAgree();
  expect((await everything()).size).toBeGreaterThan(other.size + 10);
  expect(await forget('1.2.2', { dryRun: true })).toMatchObject({ answer: 'forgotten', deliveries: 3 });
  expect(await forget('1.2.2')).toMatchObject({ answer: 'forgotten', deliveries: 3 });
  expect(await everything()).toEqual(other);
  await expectCountsToAgree();
  // The study task of the cancelled delivery has not treated it as delivered.
  expect(tasksRun).toEqual(['1.2.1']);
  expect(await forget('1.2.2')).toMatchObject({ answer: 'unknown', deliveries: 0 });
});

test('nothing of it is left although its list of deliveries was lost, and open deliveries keep it', async () => {
  const list = (study: string): string => `{dicom-dispatch}:study-deliveries:main:o-${study}`;
  await enqueue('1.2.31');
  await redis.del(list('1.2.31'));
  expect(await forget('1.2.31')).toMatchObject({ answer: 'open' });
  await redis.flushall();
  startWorkers();
  await end(await enqueue('1.2.32'));
  const other = await everything();
  await end(await enqueue('1.2.33', { to: ['any', 'b'] }));
  await redis.del(list('1.2.33'));
  expect(await forget('1.2.33')).toMatchObject({ answer: 'forgotten', deliveries: 2 });
  expect(await everything()).toEqual(other);
});

test('nothing of it is left although the record of a delivery was lost', async () => {
  startWorkers();
  await end(await enqueue('1.2.34'));
  const other = await everything();
  const enqueued = await enqueue('1.2.35', { to: ['a', 'b'] });
  await end(enqueued);
  const lost = enqueued.added.find(({ target }) => target === 'b')!;
  await (await operations.queues.target('b').getJob(lost.deliveryId))?.remove();
  await redis.del(`{dicom-dispatch}:delivery:${lost.deliveryId}`);
  expect(await forget('1.2.35')).toMatchObject({ answer: 'forgotten', deliveries: 1 });
  const left = await everything();
  const indexes = (all: Map<string, unknown>): unknown[] => [...all].filter(([key]) => key.includes(':index:'));
  expect(indexes(left)).toEqual(indexes(other));
});

test('a check searches no lists of deliveries, a pass searches a source once', async () => {
  startWorkers();
  await end(await enqueue('1.2.36'));
  await redis.del('{dicom-dispatch}:study-deliveries:main:o-1.2.36');
  const before = await everything();
  expect(await forget('1.2.36', { dryRun: true })).toMatchObject({ answer: 'forgotten', deliveries: 0 });
  expect(await everything()).toEqual(before);
  const searched = new Set<string>();
  expect(await forget('1.2.37', { searched })).toMatchObject({ answer: 'unknown' });
  expect([...searched]).toEqual(['main']);
  expect(await forget('1.2.36', { searched })).toMatchObject({ answer: 'forgotten', deliveries: 1 });
});

test('kept: what is recent, waits, is under way, has failed, or is being routed', async () => {
  const enqueued = await enqueue('1.2.3');
  const id = enqueued.added[0]?.deliveryId ?? '';
  const before = await everything();
  expect(await forget('1.2.3', { before: Date.now() - 60_000 })).toMatchObject({ answer: 'recent' });
  expect(await forget('1.2.3')).toMatchObject({ answer: 'open' });
  expect(await everything()).toEqual(before);
  await operations.records.update(id, { state: 'active' });
  expect(await forget('1.2.3')).toMatchObject({ answer: 'open' });
  await operations.records.update(id, { state: 'delivered' });
  expect(await forget('1.2.3'), 'its job has not ended').toMatchObject({ answer: 'busy' });
  startWorkers(() => true);
  await end(enqueued, () => 'failed');
  expect(await forget('1.2.3')).toMatchObject({ answer: 'failed' });
  await redis.zadd(operations.keys.waits('main'), 1, 'o-1.2.3');
  expect(await forget('1.2.3', { withFailed: true })).toMatchObject({ answer: 'waiting' });
  await redis.del(operations.keys.waits('main'));
  const choice = { target: 'a', contentHash: 'of instances that have just come' };
  await redis.hset(operations.keys.choices('main', 'o-1.2.3'), 'any', JSON.stringify(choice));
  expect(await forget('1.2.3', { withFailed: true })).toMatchObject({ answer: 'busy' });
  await redis.del(operations.keys.choices('main', 'o-1.2.3'));
  await expectCountsToAgree();
  expect(await forget('1.2.3', { withFailed: true })).toMatchObject({ answer: 'forgotten', deliveries: 1 });
  expect((await everything()).size).toBe(0);
});

test('leaves no orphaned shared UIDs after an interruption; new data in between are preserved', async () => {
  startWorkers();
  const enqueued = await enqueue('1.2.31');
  await end(enqueued);
  const [uid, other] = ['1.2.31.0', { source: 'main', orthancStudyId: 'o-other' }];
  const study = { source: 'main', orthancStudyId: 'o-1.2.31' };
  const shared = operations.sharedUids;
  const withRemove = (remove: typeof shared.remove): typeof shared =>
    ({ add: (...added: Parameters<typeof shared.add>) => shared.add(...added), remove }) as typeof shared;
  const interrupted = withRemove(async (...removed) => {
    await shared.remove(...removed);
    await redis.zadd(operations.keys.waits('main'), 1, study.orthancStudyId);
  });
  const terms = { before: Date.now() + 60_000 };
  const answer = await forgetStudy({ ...operations, sharedUids: interrupted }, study, terms);
  expect(answer).toMatchObject({ answer: 'waiting' });
  expect(await shared.find(other, [uid])).toEqual([study]);
  await redis.del(operations.keys.waits('main'));
  // If killed in between, it is repeated.
  const killed = withRemove(async () => {
    throw new Error('killed');
  });
  await expect(forgetStudy({ ...operations, sharedUids: killed }, study, terms)).rejects.toThrow('killed');
  expect(await forgetStudy(operations, study, terms)).toMatchObject({ answer: 'forgotten' });
  expect((await everything()).size).toBe(0);
});

test('a failed delivery that a later one has replaced keeps nothing', async () => {
  let isDown = true;
  startWorkers(() => isDown);
  await end(await enqueue('1.2.4', { instances: 1 }), () => 'failed');
  isDown = false;
  await end(await enqueue('1.2.4', { instances: 2 }));
  await expectCountsToAgree();
  expect(await forget('1.2.4')).toMatchObject({ answer: 'forgotten', deliveries: 2 });
  expect((await everything()).size).toBe(0);
});

test('a retry is either seen, or finds nothing and leaves nothing', async () => {
  startWorkers((target) => target === 'b');
  for (let round = 0; round < 20; round += 1) {
    const uid = `1.2.5.${round}`;
    const enqueued = await enqueue(uid, { to: ['b'] });
    await end(enqueued, () => 'cancelled');
    const id = enqueued.added[0]?.deliveryId ?? '';
    const retry = (): Promise<unknown> =>
      retryDelivery(operations, id, { name: 'anna' }).then(
        () => 'retried',
        (error: unknown) => (error as { code?: string }).code,
      );
    const [retried, { answer }] = await Promise.all(
      round % 2 === 0 ? [retry(), forget(uid)] : ([forget(uid), retry()].reverse() as never),
    );
    expect([
      ['retried', 'open'],
      ['retried', 'busy'],
      ['not-found', 'forgotten'],
    ]).toContainEqual([retried, answer]);
    if (answer === 'forgotten') {
      await waitFor(async () => [...(await everything()).keys()].filter((key) => key.includes(id)).length === 0);
      continue;
    }
    const queue = operations.queues.target('b');
    await waitFor(async () => (await queue.getJobState(id)) === 'failed');
    expect((await operations.records.delivery(id))?.state).toBe('waiting');
    await operations.records.update(id, { state: 'cancelled' });
    expect(await forget(uid)).toMatchObject({ answer: 'forgotten' });
  }
  expect((await everything()).size).toBe(0);
});

test('of very many deliveries some go at a time', async () => {
  startWorkers();
  for (let instances = 1; instances <= 115; instances += 1) {
    const { added } = await enqueue('1.2.6', { instances });
    await operations.records.update(added[0]?.deliveryId ?? '', { state: 'delivered' });
  }
  await waitFor(async () => (await operations.queues.study().getJobCountByTypes('completed')) === 115);
  expect(await forget('1.2.6')).toMatchObject({ answer: 'forgotten', deliveries: 115 });
  expect((await everything()).size).toBe(0);
});

test('a router that has lost its lease forgets nothing', async () => {
  startWorkers();
  await end(await enqueue('1.2.7'));
  const fence = { lockKey: operations.keys.lease('main'), token: 'mine' };
  const before = await everything();
  expect(await forget('1.2.7', { fence })).toMatchObject({ answer: 'lost' });
  expect(await everything()).toEqual(before);
  await redis.set(fence.lockKey, fence.token);
  expect(await forget('1.2.7', { fence })).toMatchObject({ answer: 'forgotten' });
});

test('a study brought to another source is kept while that source has it', async () => {
  startWorkers();
  await end(await enqueue('1.2.8', { to: ['to-other'] }));
  await end(await enqueue('1.2.8', { to: ['a'], source: 'other' }));
  expect(await forget('1.2.8')).toMatchObject({ answer: 'needed' });
  const inOther = { source: 'other', orthancStudyId: 'o-1.2.8' };
  expect(await forgetStudy(operations, inOther, { before: Date.now() + 60_000 })).toMatchObject({
    answer: 'forgotten',
  });
  expect(await forget('1.2.8')).toMatchObject({ answer: 'forgotten' });
  expect((await everything()).size).toBe(0);
});

test('a study with a damaged record is kept and counted, and the others are removed', async () => {
  startWorkers();
  for (const uid of ['1.2.9.1', '1.2.9.2', '1.2.9.3']) await end(await enqueue(uid, { source: 'removed' }));
  const [key = ''] = await redis.keys('*:study:removed:*');
  await redis.set(key, 'no JSON');
  const ask = async (): Promise<never> => {
    throw new Error('a source that is not configured cannot be asked');
  };
  const wish = { source: 'removed', until: Date.now() + 60_000 };
  const counts = { studies: 3, forgotten: 2, kept: { damaged: 1 }, damaged: [key] };
  expect(await forgetStudies(operations, wish, ask, true)).toMatchObject(counts);
  expect(await forgetStudies(operations, wish, ask, false)).toMatchObject(counts);
  expect(await redis.get(key)).toBe('no JSON');
});

test.each([
  ['data', 'no JSON'],
  ['data', '{}'],
  ['data', 'null'],
  ['error', 'no JSON'],
])(
  'a study of which a delivery has damaged %s (%s) is kept and named, and the others are removed',
  async (field, text) => {
    startWorkers();
    for (const uid of ['1.2.9.1', '1.2.9.2', '1.2.9.3']) await end(await enqueue(uid, { source: 'removed' }));
    const [id = ''] = await redis.zrange('{dicom-dispatch}:study-deliveries:removed:o-1.2.9.2', '0', '-1');
    const key = `{dicom-dispatch}:delivery:${id}`;
    await redis.hset(key, field, text);
    // The list of another one was lost: the deliveries of the source are searched.
    await redis.del('{dicom-dispatch}:study-deliveries:removed:o-1.2.9.1');
    const ask = async (): Promise<never> => {
      throw new Error('a source that is not configured cannot be asked');
    };
    const wish = { source: 'removed', until: Date.now() + 60_000 };
    const counts = { studies: 3, forgotten: 2, kept: { damaged: 1 }, damaged: [key] };
    const before = await redis.hgetall(key);
    expect(await forgetStudies(operations, wish, ask, true)).toMatchObject(counts);
    expect(await forgetStudies(operations, wish, ask, false)).toMatchObject({ ...counts, deliveries: 2 });
    expect(await redis.hgetall(key)).toEqual(before);
    expect(await redis.keys('*:ledger:removed:o-1.2.9.2:*')).not.toEqual([]);
  },
);

test('a choice that cannot be read keeps its study alone', async () => {
  startWorkers();
  for (const uid of ['1.2.9.1', '1.2.9.2']) await end(await enqueue(uid, { source: 'removed' }));
  const choices = operations.keys.choices('removed', 'o-1.2.9.1');
  await redis.hset(choices, 'any', 'no JSON');
  const ask = async (): Promise<never> => {
    throw new Error('a source that is not configured cannot be asked');
  };
  const wish = { source: 'removed', until: Date.now() + 60_000 };
  const counts = { forgotten: 1, kept: { damaged: 1 }, damaged: [choices] };
  expect(await forgetStudies(operations, wish, ask, false)).toMatchObject(counts);
});

test('an operator removes studies of a removed source, failed ones only on explicit request', async () => {
  startWorkers((target) => target === 'b');
  for (const uid of ['1.2.9.1', '1.2.9.2', '1.2.9.3']) await end(await enqueue(uid, { source: 'removed' }));
  await end(await enqueue('1.2.9.4', { to: ['b'], source: 'removed' }), () => 'failed');
  const ask = async (): Promise<never> => {
    throw new Error('a source that is not configured cannot be asked');
  };
  const wish = { source: 'removed', until: Date.now() + 60_000 };
  const foreseen = await forgetStudies(operations, wish, ask, true);
  expect(foreseen).toMatchObject({ studies: 4, forgotten: 3, deliveries: 3, kept: { failed: 1 } });
  expect(foreseen.bytes).toBeGreaterThan(3 * 2_000);
  expect(await forgetStudies(operations, wish, ask, false)).toMatchObject({ forgotten: 3, kept: { failed: 1 } });
  await expectCountsToAgree();
  const named = { source: 'removed', studies: ['1.2.9.4'], failed: true };
  expect(await forgetStudies(operations, named, ask, false)).toMatchObject({ studies: 1, forgotten: 1, kept: {} });
  expect((await everything()).size).toBe(0);
  await expect(forgetStudies(operations, named, ask, true)).rejects.toMatchObject({ code: 'not-found' });
});
