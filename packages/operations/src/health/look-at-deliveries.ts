import { readReconcileReport, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { DeliveryState } from '@dicom-dispatch/state/records';
import { TaskRecords } from '@dicom-dispatch/state/tasks';
import { heldAmong } from '../hold-delivery.ts';
import type { TargetState } from '../read-target.ts';
import { count, finding, type HealthFinding } from './finding.ts';
import type { HealthKind } from './health-kinds.ts';

const ended = [
  ['delivery-failed', 'failed', 'delivery failed', 'deliveries failed'],
  ['delivery-partial', 'partial', 'delivery arrived partially', 'deliveries arrived partially'],
  ['source-gone', 'source-gone', 'delivery lost its study', 'deliveries lost their studies'],
] as const satisfies readonly (readonly [HealthKind, DeliveryState, string, string])[];

const lateMs = 300_000;
/** Deliveries of a target, latest change first, that are examined for a shortage. */
const maxRead = 1_000;

/** Deliveries that ended without success, those that are held, and whether records and jobs agree. */
export async function lookAtDeliveries(
  context: PipelineContext,
  targets: readonly TargetState[],
): Promise<HealthFinding[]> {
  const { records, redis, keys } = context;
  const findings: HealthFinding[] = [];
  const inAll = await records.counts();
  for (const [kind, state, one, many] of ended) {
    let others = inAll[state];
    for (const { name, counts } of targets) {
      if (counts[state] === 0) continue;
      others -= counts[state];
      const since = await records.oldestIn(state, name);
      findings.push(finding(kind, { subject: name, since, words: `${count(counts[state], one, many)}, to ${name}` }));
    }
    if (others > 0) {
      const words = `${count(others, one, many)}, to targets that are no longer configured`;
      findings.push(finding(kind, { words }));
    }
  }
  findings.push(...(await lookAtShortages(context, targets)));
  const held = await redis.scard(keys.held);
  if (held > 0) {
    findings.push(finding('delivery-held', { words: `${count(held, 'delivery is held', 'deliveries are held')}` }));
  }
  return findings;
}

/**
 * Deliveries that are tried again after a shortage on the host of a dispatcher: they consume no attempt, and never fail.
 * The error of their last attempt stays while they wait for something else: these are not counted.
 */
async function lookAtShortages(context: PipelineContext, targets: readonly TargetState[]): Promise<HealthFinding[]> {
  const { records } = context;
  const selection = { state: 'waiting', code: 'local-resources' } as const;
  const affected = new Set((await records.errors(selection)).map(({ target }) => target));
  const running = targets.filter(({ name, enabled, paused }) => affected.has(name) && enabled && !paused);
  const found = await Promise.all(
    running.map(async ({ name }) => {
      const { records: latest, next } = await records.deliveries({ ...selection, target: name, limit: maxRead });
      const due = latest.filter(({ wake }) => wake === 'due');
      const held = await heldAmong(
        context,
        due.map(({ deliveryId }) => deliveryId),
      );
      const waiting = due.filter(({ deliveryId }) => !held.has(deliveryId));
      const [first] = waiting;
      if (!first) return undefined;
      const number = `${next ? 'at least ' : ''}${count(waiting.length, 'delivery waits', 'deliveries wait')}`;
      const words = `${number} for a resource of the host of a dispatcher, to ${name}: ${first.error?.message ?? 'no reason is known'}`;
      return finding('local-shortage', { subject: name, words, remedy: first.error?.remedy });
    }),
  );
  return found.filter((one) => one !== undefined);
}

/** Whether study tasks end, and records and jobs are consistent. */
export async function lookAtTasks(
  context: PipelineContext,
  { now, runsSince }: { readonly now: number; readonly runsSince: number | undefined },
): Promise<HealthFinding[]> {
  const { redis, config, queues } = context;
  const { prefix } = config().redis;
  const findings: HealthFinding[] = [];
  const study = queues.study();
  const [failed, isPaused, report] = await Promise.all([
    study.getFailedCount(),
    study.isPaused(),
    readReconcileReport(redis, prefix),
  ]);
  if (failed > 0) {
    findings.push(finding('study-task-failed', { words: count(failed, 'study task failed', 'study tasks failed') }));
  }
  if (isPaused) {
    findings.push(
      finding('tasks-paused', { words: 'the queue of study tasks is paused: no steps after success are done' }),
    );
  }
  findings.push(...(await lookAtSteps(context, report.problems)));
  for (const { kind, subject, text } of report.problems) {
    // Reported with the targets, and by `lookAtSteps`.
    if (kind === 'target-unknown' || kind === 'after-success') continue;
    findings.push(finding('reconcile', { subject, words: text, path: '/deliveries?state=waiting' }));
  }
  // A process that has just started has not compared them yet.
  const since = Math.max(report.at ?? 0, runsSince ?? now);
  if (now - since > lateMs) {
    findings.push(
      finding('reconcile-late', { since, words: 'records and jobs have not been compared for more than five minutes' }),
    );
  }
  return findings;
}

/** Steps after success that were tried and are still to be done, by source. */
async function lookAtSteps(
  { redis, config }: PipelineContext,
  problems: Awaited<ReturnType<typeof readReconcileReport>>['problems'],
): Promise<HealthFinding[]> {
  const ids = problems.filter(({ kind }) => kind === 'after-success').map(({ subject }) => subject);
  const steps = await new TaskRecords(redis, config().redis.prefix).readAll(ids);
  const open = steps
    .filter((step) => step !== undefined)
    .filter(({ state, attempts }) => state === 'due' && attempts > 0);
  return [...new Set(open.map(({ data }) => data.source))].map((source) => {
    const mine = open.filter(({ data }) => data.source === source);
    const [first] = mine;
    return finding('after-success', {
      subject: source,
      words: `what is to be done in ${source} after success is not done for ${count(mine.length, 'study', 'studies')}: ${first?.error?.message ?? 'no reason is known'}`,
      ...(mine.length === 1 && {
        path: `/studies/${encodeURIComponent(source)}/${encodeURIComponent(first?.data.orthancStudyId ?? '')}`,
      }),
    });
  });
}
