import { parseConfig, type Config } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { openPipeline, type PipelineContext } from '../context.ts';
import { StudyEnqueuer, type Enqueued, type StudyToEnqueue } from '../enqueue-study.ts';
import { reconcile, type ReconcileContext } from '../reconcile/index.ts';
import { planByName } from '../resolve-deliveries.ts';

export interface TestPipeline extends AsyncDisposable {
  readonly server: RedisServer;
  readonly redis: Redis;
  readonly config: Config;
  readonly operations: PipelineContext;
  readonly tasks: TaskRecords;
  readonly enqueuer: StudyEnqueuer;
  readonly reconciling: ReconcileContext;
  /** Routes a study to targets, as the router does. */
  enqueue(study: string, options?: EnqueueOptions): Promise<Enqueued>;
  /** Reconciles every open delivery, however recently it was changed. */
  reconcile(config?: () => Config): Promise<void>;
}

/** Parts of the request that replace those of the test study. */
export interface EnqueueOptions extends Partial<Omit<StudyToEnqueue, 'study'>> {
  /** Default `a`. */
  readonly to?: readonly string[];
  readonly instances?: number;
  readonly hold?: boolean;
  /** Parts of its facts. */
  readonly study?: Partial<StudyToEnqueue['study']>;
}

/**
 * A separate Redis, and two targets without a dispatcher: `a` and `b`.
 *
 * @param more - further parts of the configuration as an operator writes them
 */
export async function startTestPipeline(
  server?: RedisServer,
  { targets, ...more }: Readonly<Record<string, object>> = {},
): Promise<TestPipeline> {
  const own = server ?? (await startRedis({ appendonly: false }));
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis(own.url, 'test', log);
  const raw = {
    sources: { main: { url: 'http://127.0.0.1:1' } },
    targets: { a: { type: 'dummy' }, b: { type: 'dummy' }, ...targets },
    ...more,
  };
  const parsed = parseConfig(raw, Object.values(targetSchemas) as never);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const { config } = parsed;
  const { prefix } = config.redis;
  const operations = openPipeline(config, redis);
  const enqueuer = new StudyEnqueuer(config, redis, operations.records);
  const tasks = new TaskRecords(redis, prefix);
  const { records, queues } = operations;
  return {
    server: own,
    redis,
    config,
    operations,
    tasks,
    enqueuer,
    reconciling: { config: () => config, redis, records, tasks, queues, log },
    enqueue(study, { to = ['a'], instances = 2, hold = false, study: facts, ...rest } = {}) {
      return enqueuer.enqueue({
        source: 'main',
        epoch: '1',
        study: {
          orthancStudyId: `o-${study}`,
          studyInstanceUid: study,
          facts: { source: 'main', study: {}, series: [], origin: {} },
          lastUpdate: '20260101T000000',
          ...facts,
        } as never,
        manifest: Array.from({ length: instances }, (_, index) => ({
          sopInstanceUid: `${study}.${index}`,
          version: '1',
        })) as never,
        rules: ['r'],
        deliveries: planByName(config, to, { rules: ['r'], priority: 'normal' }).map((one) => ({ ...one, hold })),
        ...rest,
      });
    },
    async reconcile(current = () => config) {
      const key = `${prefix}:index:open`;
      for (const id of await redis.zrange(key, '0', '-1')) await redis.zadd(key, 0, id);
      await reconcile({ config: current, redis, records, tasks, queues, log });
    },
    async [Symbol.asyncDispose]() {
      await enqueuer.close();
      await operations.close();
      redis.disconnect();
      if (!server) await own.stop();
    },
  };
}

/** These records for a process that is killed after a number of writes to them: it executes nothing further. */
export function killedAfter(writes: number, records: PipelineContext['records']): PipelineContext['records'] {
  let left = writes;
  return new Proxy(records, {
    get(real, name) {
      const value: unknown = Reflect.get(real, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        const answer: unknown = await value.apply(real, args);
        if (['routed', 'change', 'update'].includes(String(name)) && --left === 0) throw new Error('killed');
        return answer;
      };
    },
  });
}

/** @returns whether it was killed by {@link killedAfter} */
export async function isKilled(act: Promise<unknown>): Promise<boolean> {
  try {
    await act;
    return false;
  } catch (error) {
    if ((error as Error).message === 'killed') return true;
    throw error;
  }
}
