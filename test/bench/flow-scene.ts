import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Records, type DeliveryRecord } from '@dicom-dispatch/state/records';
import type { Config } from '@dicom-dispatch/core';
import { readConfig } from '@dicom-dispatch/cli';
import {
  startOrthanc,
  startRedis,
  tempFolder,
  waitFor,
  type OrthancServer,
  type RedisServer,
} from '@dicom-dispatch/harness';
import { openPipeline, routeAgain, type PipelineContext } from '@dicom-dispatch/pipeline';
import { connectRedis, createLogger, type Redis } from '@dicom-dispatch/runtime';
import { makeStudy } from '@dicom-dispatch/samples';
import { openSource } from '@dicom-dispatch/sources';
import { stringify } from 'yaml';
import { startDispatch, type RunningDispatch } from '../e2e/support/start-dispatch.ts';
import { productEnv, productFlags } from './product-env.ts';

export const prefix = '{dicom-dispatch}';

/** A real Orthanc full of small studies, a real Redis, and services as processes. */
export interface FlowScene extends AsyncDisposable {
  readonly orthanc: OrthancServer;
  readonly redis: RedisServer;
  readonly client: Redis;
  readonly records: Records;
  readonly config: Config;
  readonly operations: PipelineContext;
  /** Orthanc's ids. */
  readonly studies: readonly string[];
  start(command: 'router' | 'dispatcher'): Promise<RunningDispatch>;
  /** Puts studies into the queue of a target; returns the ids of the deliveries. */
  send(studies: readonly string[], target: string): Promise<string[]>;
  untilDelivered(ids: readonly string[]): Promise<DeliveryRecord[]>;
  /** A field of Redis' INFO. */
  info(field: string): Promise<number>;
}

/** @param targets - of the configuration; @param count - studies of one small instance */
export async function startFlowScene(
  targets: Readonly<Record<string, object>>,
  count: number,
  more: Readonly<Record<string, unknown>> = {},
): Promise<FlowScene> {
  const stack = new AsyncDisposableStack();
  try {
    const orthanc = stack.use(await startOrthanc());
    const redis = stack.use(await startRedis({ appendfsync: 'everysec' }));
    for (let seed = 0; seed < count; seed += 1)
      for (const { bytes } of makeStudy({ seed: `flow ${seed}`, instancesPerSeries: 1, rows: 8, columns: 8 }))
        await orthanc.upload(bytes);
    const raw = {
      sources: { main: { url: orthanc.url, startFrom: 'everything', pollInterval: '200ms' } },
      targets,
      redis: { url: redis.url },
      logging: { level: 'warn', format: 'json' },
      ...more,
    };
    const folder = stack.use(await tempFolder('flow'));
    const file = join(folder.path, 'dispatch.yaml');
    await writeFile(file, stringify(raw));
    const config = await readConfig(file);
    const client = connectRedis(redis.url, 'bench', createLogger('bench', { level: 'error', format: 'json' }));
    stack.defer(() => client.disconnect());
    const records = new Records(client, prefix);
    const operations = openPipeline(config, client);
    stack.defer(() => operations.close());
    const source = await openSource(config.sources['main']!);
    stack.defer(() => source.close());
    const studies = await orthanc.studies();
    return {
      orthanc,
      redis,
      client,
      records,
      config,
      operations,
      studies,
      start: async (command) =>
        stack.use(await startDispatch({ command, config: raw, env: productEnv, execArgv: productFlags })),
      async send(ids, target) {
        const deliveries: string[] = [];
        for (let at = 0; at < ids.length; at += 8) {
          const added = await Promise.all(
            ids.slice(at, at + 8).map((orthancStudyId) =>
              routeAgain(operations, { source: 'main', orthancStudyId, targets: [target] }, source, {
                name: 'bench',
              }),
            ),
          );
          deliveries.push(...added.flatMap((one) => one.added.map(({ deliveryId }) => deliveryId)));
        }
        return deliveries;
      },
      async untilDelivered(ids) {
        const done = new Map<string, DeliveryRecord>();
        await waitFor(
          async () => {
            const open = ids.filter((id) => !done.has(id));
            // The latest first: while it is not delivered the others need not be read.
            const last = await records.delivery(open.at(-1) ?? '');
            if (last && last.state !== 'delivered') return false;
            for (const id of open) {
              const record = await records.delivery(id);
              if (record?.state === 'delivered') done.set(id, record);
            }
            return done.size === ids.length;
          },
          { timeoutMs: 600_000, message: 'all deliveries to end', intervalMs: 100 },
        );
        return [...done.values()];
      },
      info: async (field) =>
        Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(await client.info('everything'))?.[1] ?? 0),
      [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose](),
    };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

/** From the first start to the last end, in seconds. */
export function secondsOf(deliveries: readonly DeliveryRecord[], from?: number): number {
  const first = from ?? Math.min(...deliveries.map(({ startedAt }) => startedAt ?? 0));
  return (Math.max(...deliveries.map(({ endedAt }) => endedAt ?? 0)) - first) / 1_000;
}
