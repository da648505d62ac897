import type { Redis } from '@dicom-dispatch/runtime';
import { redisKeys } from '@dicom-dispatch/state/keys';
import { redisNow } from '@dicom-dispatch/state/redis';
import { repairKinds, type Findings, type Problem, type RepairKind } from './reconcile-context.ts';

/** What reconciliation found, as of its last pass. */
export interface ReconcileReport {
  /** By the clock of Redis (ms since 1970); undefined before the first pass. */
  readonly at: number | undefined;
  /** How long ago that is. */
  readonly ageMs: number | undefined;
  readonly tookMs: number;
  /** Number of records that the last pass checked. */
  readonly checked: number;
  /** Deliveries that are open now. */
  readonly open: number;
  /** Problems that the last pass could not repair. */
  readonly problems: readonly Problem[];
  /** How often each kind was repaired by the last pass, and since the beginning. */
  readonly repaired: Readonly<Partial<Record<RepairKind, number>>>;
  readonly repairedInAll: Readonly<Partial<Record<RepairKind, number>>>;
}

export async function writeReport(redis: Redis, prefix: string, findings: Findings, tookMs: number): Promise<void> {
  const key = redisKeys(prefix).reconcileReport;
  const now = await redisNow(redis, prefix);
  const transaction = redis.multi().hset(key, {
    at: now,
    tookMs: Math.round(tookMs),
    checked: findings.checked,
    problems: JSON.stringify([...findings.problems.values()]),
    repaired: JSON.stringify(Object.fromEntries(findings.repairs)),
  });
  for (const [kind, count] of findings.repairs) transaction.hincrby(key, `repaired:${kind}`, count);
  await transaction.exec();
}

/** For `status`, metrics and alerts: whether records and jobs agree. */
export async function readReconcileReport(redis: Redis, prefix: string): Promise<ReconcileReport> {
  const keys = redisKeys(prefix);
  const [fields, open, now] = await Promise.all([
    redis.hgetall(keys.reconcileReport),
    redis.zcard(keys.index('open')),
    redisNow(redis, prefix),
  ]);
  const at = fields['at'] === undefined ? undefined : Number(fields['at']);
  return {
    at,
    // A pass that ran while the clock was ahead does not count.
    ageMs: at === undefined ? undefined : Math.abs(now - at),
    tookMs: Number(fields['tookMs'] ?? 0),
    checked: Number(fields['checked'] ?? 0),
    open,
    problems: JSON.parse(fields['problems'] ?? '[]') as Problem[],
    repaired: JSON.parse(fields['repaired'] ?? '{}') as Partial<Record<RepairKind, number>>,
    repairedInAll: Object.fromEntries(
      repairKinds.flatMap((kind) => {
        const count = fields[`repaired:${kind}`];
        return count === undefined ? [] : [[kind, Number(count)]];
      }),
    ),
  };
}
