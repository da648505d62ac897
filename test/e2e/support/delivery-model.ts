import { setTimeout as sleep } from 'node:timers/promises';
import { startRedis } from '@dicom-dispatch/harness';
import { cancelDelivery, holdDelivery, releaseDelivery, retryDelivery } from '@dicom-dispatch/operations';
import { jobPlace, OperationError, openPipeline, reconcile, StudyEnqueuer, planByName } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, workerOptions } from '@dicom-dispatch/runtime';
import { act, endStates, fromNow, type DeliveryState } from '@dicom-dispatch/state/records';
import { parseConfig } from '@dicom-dispatch/core';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { Worker, type Job } from 'bullmq';
import * as fc from 'fast-check';

const actor = { name: 'model' };

/** What can happen to deliveries. `of` picks one of them. */
const happenings = [
  'enqueue',
  'begin',
  'end',
  'put off',
  'die',
  'remove job',
  'obliterate',
  'lose job in lists',
  'fail job',
  'hold',
  'release',
  'retry',
  'cancel',
  'out of memory',
  'memory',
  'lose index',
  'reconcile',
] as const;

export type Step = readonly [(typeof happenings)[number], number];

export const steps = fc.array(fc.tuple(fc.constantFrom(...happenings), fc.nat(7)) as fc.Arbitrary<Step>, {
  minLength: 5,
  maxLength: 40,
});

/**
 * Runs interleavings against a real Redis, with the acts of dispatchers and operators as they are. After each a
 * reconciliation is made, and then every open delivery has a live job, a time at which it goes on, or a person it waits for.
 */
export async function runModel(runs: number, seed?: number): Promise<void> {
  await using server = await startRedis({ appendonly: false });
  const redis = connectRedis(server.url, 'model', createLogger('model', { level: 'fatal', format: 'json' }));
  const parsed = parseConfig(
    { sources: { main: { url: 'http://127.0.0.1:1' } }, targets: { a: { type: 'dummy' } } },
    Object.values(targetSchemas) as never,
  );
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { config } = parsed;
  const { prefix } = config.redis;
  const operations = openPipeline(config, redis);
  const { records, queues } = operations;
  const enqueuer = new StudyEnqueuer(config, redis, records);
  const tasks = new TaskRecords(redis, prefix);
  const log = createLogger('model', { level: 'fatal', format: 'json' });
  const reconciling = { config: () => config, redis, records, tasks, queues, log };
  const queue = queues.target('a');
  const worker = new Worker('target-a', null as never, { ...workerOptions(redis, prefix, 1, 60_000) });
  worker.on('error', () => {});
  try {
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        await redis.config('SET', 'maxmemory', '0');
        await redis.flushall();
        await run(script);
      }),
      { numRuns: runs, ...(seed !== undefined && { seed }) },
    );
  } finally {
    await worker.close(true);
    await enqueuer.close();
    await operations.close();
    redis.disconnect();
  }

  async function run(script: readonly Step[]): Promise<void> {
    const ids: string[] = [];
    const taken = new Map<string, { job: Job; token: string }>();
    let count = 0;
    for (const [what, of] of script) {
      const id = ids[of % Math.max(1, ids.length)] ?? '';
      try {
        await happen(what, id);
      } catch (error) {
        // An operator's wish may not fit, and Redis may be out of memory.
        if (!(error instanceof OperationError) && !isExpected(error)) throw error;
      }
    }
    await redis.config('SET', 'maxmemory', '0');
    // Locks of the dead run out.
    for (const id of ids) await redis.del(`${queue.toKey(id)}:lock`);
    await reconcileAll();
    for (const id of ids) await check(id);

    async function happen(what: Step[0], id: string): Promise<void> {
      if (what === 'enqueue') {
        count += 1;
        ids.push(...(await enqueue(`1.2.${count}`)));
      } else if (what === 'out of memory') await redis.config('SET', 'maxmemory', '1');
      else if (what === 'memory') await redis.config('SET', 'maxmemory', '0');
      else if (what === 'lose index') await redis.del(`${prefix}:index:open`);
      else if (what === 'obliterate') await queue.obliterate({ force: true });
      else if (what === 'reconcile') await reconcileAll();
      else if (what === 'begin') await begin();
      else if (id === '') return;
      else if (what === 'hold') await holdDelivery(operations, id, actor);
      else if (what === 'release') await releaseDelivery(operations, id, actor);
      else if (what === 'retry') await retryDelivery(operations, id, actor);
      else if (what === 'cancel') await cancelDelivery(operations, id, actor);
      else if (what === 'remove job') await queue.remove(id);
      else if (what === 'lose job in lists') await loseInLists(id, '');
      else if (what === 'fail job') await loseInLists(id, 'failed');
      else await afterBegin(what, id);
    }

    async function begin(): Promise<void> {
      count += 1;
      const token = `t-${count}`;
      const job = (await worker.getNextJob(token, { block: false })) as Job | undefined;
      if (!job?.id) return;
      const lock = `${queue.toKey(job.id)}:lock`;
      const fence = { lockKey: lock, token };
      const patch = { state: 'active', wake: 'attempt', lock, token, nextAttemptAt: null } as const;
      const changed = await records.change(job.id, { ...act('begin'), patch, fence });
      if (changed.kind === 'done') taken.set(job.id, { job, token });
      else if (changed.state && endStates.includes(changed.state)) await job.moveToFailed(new Error('ended'), token);
      else await job.moveToDelayed(Date.now() + 3_600_000, token);
    }

    async function afterBegin(what: Step[0], id: string): Promise<void> {
      const attempt = taken.get(id);
      if (!attempt) return;
      taken.delete(id);
      const { job, token } = attempt;
      const lockKey = `${queue.toKey(id)}:lock`;
      if (what === 'die') {
        await redis.del(lockKey);
        return;
      }
      const fence = { lockKey, token };
      if (what === 'put off') {
        const patch = { state: 'waiting', wake: 'due', nextAttemptAt: fromNow(5_000) } as const;
        const changed = await records.change(id, { ...act('putOff'), patch, fence });
        // Every second one is killed between the record and the job.
        if (changed.kind === 'done' && count % 2 === 0) await job.moveToDelayed(Date.now() + 5_000, token);
      } else {
        const state: DeliveryState = count % 3 === 0 ? 'failed' : 'delivered';
        const changed = await records.change(id, { ...act('end'), patch: { state }, fence });
        if (changed.kind === 'done') await job.moveToCompleted('x', token, false);
      }
    }
  }

  async function enqueue(study: string): Promise<string[]> {
    const { added } = await enqueuer.enqueue({
      source: 'main',
      epoch: '1',
      study: {
        orthancStudyId: `o-${study}`,
        studyInstanceUid: study,
        facts: { source: 'main', study: {}, series: [], origin: {} },
        lastUpdate: undefined,
      } as never,
      manifest: [{ sopInstanceUid: `${study}.1`, version: '1' }] as never,
      rules: ['r'],
      deliveries: planByName(config, ['a'], { rules: ['r'], priority: 'normal' }),
    });
    return added.map(({ deliveryId }) => deliveryId);
  }

  async function loseInLists(id: string, to: string): Promise<void> {
    for (const set of ['prioritized', 'delayed']) {
      const removed = await redis.zrem(queue.toKey(set), id);
      if (removed > 0 && to !== '') await redis.zadd(queue.toKey(to), Date.now(), id);
    }
  }

  async function reconcileAll(): Promise<void> {
    await records.rebuildOpenIndex();
    const key = `${prefix}:index:open`;
    for (const id of await redis.zrange(key, '0', '-1')) await redis.zadd(key, 0, id);
    await reconcile(reconciling);
    await sleep(0);
  }

  async function check(id: string): Promise<void> {
    const looked = await records.look(id);
    if (!looked || endStates.includes(looked.record.state) || looked.isHeld) return;
    const { state, delayedUntil = 0 } = await jobPlace(redis, queue, id);
    const due = looked.record.nextAttemptAt ?? looked.now;
    const isLive = state === 'ready' || state === 'stalled' || (state === 'delayed' && delayedUntil <= due + 10_000);
    if (!isLive || looked.record.state !== 'waiting') {
      throw new Error(`${id} is ${looked.record.state} (${looked.record.wake}), and its job is ${state}`);
    }
  }
}

function isExpected(error: unknown): boolean {
  if ((error as { code?: unknown }).code === 'ledger-unavailable') return true;
  const text = String(error) + String((error as { cause?: unknown }).cause ?? '');
  return /OOM|EXECABORT|used memory|locked|could not be removed|Missing|not in the|lock/i.test(text);
}
