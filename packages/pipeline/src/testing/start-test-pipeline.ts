import { parseConfig, type Config, type OnSuccessConfig } from '@dicom-dispatch/core';
import { startRedis, type RedisServer } from '@dicom-dispatch/harness';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { targetSchemas } from '@dicom-dispatch/targets/schemas';
import { openPipeline, type PipelineContext } from '../context.ts';
import { StudyEnqueuer, type Enqueued } from '../enqueue-study.ts';
import { reconcile, type ReconcileContext } from '../reconcile/index.ts';
import { planByName } from '../resolve-deliveries.ts';

export interface TestPipeline extends AsyncDisposable {
  readonly server: RedisServer;
  readonly redis: Redis;
  readonly config: Config;
  readonly operations: PipelineContext;
  readonly tasks: TaskRecords;
  readonly reconciling: ReconcileContext;
  /** Routes a study to targets, as the router does. */
  enqueue(study: string, options?: EnqueueOptions): Promise<Enqueued>;
  /** Reconciles every open delivery, however recently it was changed. */
  reconcile(config?: () => Config): Promise<void>;
}

export interface EnqueueOptions {
  /** Default `a`. */
  readonly to?: readonly string[];
  readonly instances?: number;
  readonly hold?: boolean;
  readonly onSuccess?: OnSuccessConfig;
  readonly only?: readonly string[];
}

/** A separate Redis, and two targets without a dispatcher: `a` and `b`. */
export async function startTestPipeline(server?: RedisServer): Promise<TestPipeline> {
  const own = server ?? (await startRedis({ appendonly: false }));
  const log = createLogger('test', { level: 'fatal', format: 'json' });
  const redis = connectRedis(own.url, 'test', log);
  const raw = {
    sources: { main: { url: 'http://127.0.0.1:1' } },
    targets: { a: { type: 'dummy' }, b: { type: 'dummy' } },
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
    reconciling: { config: () => config, redis, records, tasks, queues, log },
    enqueue(study, { to = ['a'], instances = 2, hold = false, onSuccess, only } = {}) {
      return enqueuer.enqueue({
        source: 'main',
        epoch: '1',
        study: {
          orthancStudyId: `o-${study}`,
          studyInstanceUid: study,
          facts: { source: 'main', study: {}, series: [], origin: {} },
          lastUpdate: '20260101T000000',
        } as never,
        manifest: Array.from({ length: instances }, (_, index) => ({
          sopInstanceUid: `${study}.${index}`,
          version: '1',
        })) as never,
        rules: ['r'],
        deliveries: planByName(config, to, { rules: ['r'], priority: 'normal' }).map((one) => ({ ...one, hold })),
        ...(onSuccess && { onSuccess }),
        ...(only && { only }),
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
