import { performance } from 'node:perf_hooks';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { redisNow } from '@dicom-dispatch/state/redis';
import { skewLimitMs } from '@dicom-dispatch/runtime';
import { afterSetBack } from './after-set-back.ts';
import { Findings, type ReconcileContext } from './reconcile-context.ts';
import { foldFinished } from './fold-finished.ts';
import { mendRecords } from './mend-records.ts';
import { reconcileDeliveries } from './reconcile-deliveries.ts';
import { applyLimits, learntLimit } from '../target-limits.ts';
import { writeReport } from './reconcile-report.ts';
import { reconcileParents, reconcileTasks } from './reconcile-tasks.ts';

/** Maximum number of checks in a pass, besides those of `mendRecords` (5,000 studies and 5,000 deliveries: 0.5 s of Redis). */
const limits = { deliveries: 5_000, tasks: 500, parents: 500, ledgers: 200 } as const;
/** After this time a limit that a receiver required is tried again. */
const learntForMs = 86_400_000;

/**
 * One pass of reconciliation. The records are authoritative, and jobs only trigger processing. Even if a job was lost,
 * duplicated, failed or removed, each open delivery and each open step of a study task gets what it needs to continue.
 */
export async function reconcile(context: ReconcileContext): Promise<Findings> {
  const startedAt = performance.now();
  const findings = new Findings();
  // Should it fail, no report is written, and it is done by the next pass.
  if (await wasSetBack(context)) {
    await afterSetBack(context);
    findings.repaired('clock-set-back');
  }
  const parts = {
    deliveries: () => reconcileDeliveries(context, findings, limits.deliveries),
    tasks: () => reconcileTasks(context, findings, limits.tasks),
    parents: () => reconcileParents(context, findings, limits.parents),
    records: () => mendRecords(context, findings),
    ledgers: () => foldFinished(context, limits.ledgers),
    limits: () => restoreLimits(context, findings),
    queues: () => restoreQueues(context, findings),
  };
  for (const [part, run] of Object.entries(parts)) {
    try {
      await run();
    } catch (error) {
      findings.problem({ kind: 'failed', subject: part, text: `The ${part} could not be read: ${String(error)}` });
    }
  }
  await writeReport(context.redis, context.config().redis.prefix, findings, performance.now() - startedAt);
  return findings;
}

/** Whether the last pass is in the future. */
async function wasSetBack({ redis, config }: ReconcileContext): Promise<boolean> {
  const { prefix } = config().redis;
  const [at, now] = await Promise.all([redis.hget(redisKeys(prefix).reconcileReport, 'at'), redisNow(redis, prefix)]);
  return Number(at ?? 0) - now > skewLimitMs;
}

/** A receiver that accepted fewer associations a day ago may accept more now. */
async function restoreLimits({ redis, config, queues }: ReconcileContext, findings: Findings): Promise<void> {
  const { targets, redis: redisConfig } = config();
  const keys = redisKeys(redisConfig.prefix);
  const now = await redisNow(redis, redisConfig.prefix);
  for (const [name, text] of Object.entries(await redis.hgetall(keys.learnt))) {
    const known = learntLimit.safeParse(JSON.parse(text));
    const target = targets[name];
    if (target && known.success && now - known.data.at < learntForMs) continue;
    await redis.hdel(keys.learnt, name);
    if (!target || !known.success) continue;
    await applyLimits({ redis, queues, keys }, name, target);
    findings.repaired('limit-restored');
  }
}

/**
 * Pauses and limits of a target are stored in its queue, and in a second place: a queue that has lost them gets them again.
 */
async function restoreQueues({ redis, config, queues, log }: ReconcileContext, findings: Findings): Promise<void> {
  const { targets, redis: redisConfig } = config();
  const keys = redisKeys(redisConfig.prefix);
  for (const name of await redis.hkeys(keys.paused)) {
    if (!targets[name] || (await queues.target(name).isPaused())) continue;
    await queues.target(name).pause();
    // An operator may just have resumed it: resuming removes the entry first.
    if ((await redis.hexists(keys.paused, name)) === 0) {
      await queues.target(name).resume();
      continue;
    }
    findings.repaired('pause-restored');
    log.error({ target: name }, 'the pause of a target was missing in Redis: the target is paused again');
  }
  for (const name of await redis.hkeys(keys.configuredLimits)) {
    const target = targets[name];
    if (!target || (await queues.target(name).getGlobalConcurrency()) !== null) continue;
    await applyLimits({ redis, queues, keys }, name, target);
    findings.repaired('limits-rewritten');
    log.error({ target: name }, 'the limits of a target were missing in Redis, and were written again');
  }
}
