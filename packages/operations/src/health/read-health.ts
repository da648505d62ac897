import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { redisNow, withDeadline } from '@dicom-dispatch/state/redis';
import { readTargets } from '../read-target.ts';
import { finding, worstFirst, type HealthFinding } from './finding.ts';
import type { HealthKind } from './health-kinds.ts';
import { lookAtAudits } from './look-at-audits.ts';
import { lookAtDeliveries, lookAtTasks } from './look-at-deliveries.ts';
import { lookAtOutgoing } from './look-at-outgoing.ts';
import { lookAtRedis } from './look-at-redis.ts';
import { lookAtServices, readProcesses } from './look-at-services.ts';
import { lookAtSource, type AskedSource } from './look-at-sources.ts';
import { lookAtTarget } from './look-at-targets.ts';

const answerWithinMs = 3_000;
const inAllMs = 15_000;

/** Findings based on heartbeats, which stop while Redis rejects writes although all services run. */
const bySignsOfLife: ReadonlySet<HealthKind> = new Set([
  'no-router',
  'standby-gone',
  'no-dispatcher',
  'source-not-followed',
  'reconcile-late',
]);

/**
 * All current findings, most severe first. The front page of the console, `status`, `/readyz`, metrics, alerts and
 * notifications use only this list.
 *
 * It never throws: data that cannot be read are a finding too.
 *
 * @param sources - their responses a moment ago; undefined: the data of their routers
 */
export async function readHealth(
  context: PipelineContext,
  sources: readonly AskedSource[] = [],
): Promise<HealthFinding[]> {
  const { redis, config } = context;
  let now: number;
  try {
    if (redis.status !== 'ready') throw new Error(`not connected (${redis.status})`);
    now = await withDeadline(redisNow(redis, config().redis.prefix), answerWithinMs);
  } catch (error) {
    return [finding('redis-away', { words: `Redis does not respond: ${messageOf(error)}` })];
  }
  const asked = new Map(sources.map((one) => [one.name, one]));
  const parts = await Promise.all([
    read('Redis', () => lookAtRedis(context)),
    read('the services', () => lookAtServices(context, now)),
    read('the sources', async () => {
      const processes = await readProcesses(context, now);
      const hasRouter = processes.some(({ services }) => services.includes('router'));
      const names = Object.keys(config().sources);
      const each = names.map((name) => lookAtSource(context, name, asked.get(name), { now, hasRouter }));
      return (await Promise.all(each)).flat();
    }),
    read('the targets and deliveries', async () => {
      const targets = await readTargets(context);
      const each = targets.map((one) => lookAtTarget(context, one, now));
      return [...(await Promise.all(each)).flat(), ...(await lookAtDeliveries(context, targets))];
    }),
    read('the audits', () => lookAtAudits(context)),
    read('the notifications', () => lookAtOutgoing(context, now)),
    read('the study tasks', async () => {
      const processes = await readProcesses(context, now);
      const reconciling = processes.filter(({ services }) => services.some((one) => one !== 'console'));
      const runsSince = reconciling.length > 0 ? Math.min(...reconciling.map((one) => one.startedAt)) : undefined;
      return lookAtTasks(context, { now, runsSince });
    }),
  ]);
  const all = parts.flat();
  const isWritable = !all.some(({ kind }) => kind === 'redis-refuses-writes');
  return worstFirst(isWritable ? all : all.filter(({ kind }) => !bySignsOfLife.has(kind)));

  async function read(what: string, look: () => Promise<HealthFinding[]>): Promise<HealthFinding[]> {
    try {
      return await withDeadline(look(), inAllMs);
    } catch (error) {
      return [finding('unread', { words: `${what} could not be read: ${messageOf(error)}` })];
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 200) : 'unknown error';
}
