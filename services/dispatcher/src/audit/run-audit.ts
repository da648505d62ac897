import { createHash } from 'node:crypto';
import { asDispatchError, ledgerKeyOf } from '@dicom-dispatch/core';
import { redisNow } from '@dicom-dispatch/state/redis';
import { placeOf, placeText, type DeliveryRecord } from '@dicom-dispatch/state/records';
import {
  noCounts,
  type AuditCounts,
  type FindingChange,
  type OpenFindings,
  type TargetAudit,
  type TargetAudits,
} from '@dicom-dispatch/state/target-audits';
import type { DispatcherContext } from '../dispatcher-context.ts';
import { auditStudy, stopsAudit } from './audit-study.ts';
import { openTarget, type OpenTarget } from './open-target.ts';
import { withFormer } from './with-former.ts';

export interface RunningAudit {
  readonly context: DispatcherContext;
  readonly audits: TargetAudits;
  /** Token of the lease. */
  readonly token: string;
  readonly signal: AbortSignal;
  /** Whether a scheduled audit may continue now. */
  mayGoOn(): boolean;
}

const atOnce = 50;
/** How long to wait for a target or source that cannot be queried at all, and after a temporary failure. */
const longWaitMs = 60_000;
const shortWaitMs = 5_000;
/** Interval for recounting open findings while an audit runs. */
const countEveryMs = 15_000;
const maxReasons = 10;

/** Thrown if another dispatcher has the audit, or it was stopped: nothing is written any more. */
class AuditLeft extends Error {
  override readonly name = 'AuditLeft';
}

/** Thrown if the audit cannot continue now: it continues later. */
class AuditWaits extends Error {
  override readonly name = 'AuditWaits';
  readonly waitMs: number;
  readonly tried: string | undefined;
  constructor(message: string, waitMs: number, tried?: string, options?: ErrorOptions) {
    super(message, options);
    this.waitMs = waitMs;
    this.tried = tried;
  }
}

/**
 * Executes an audit from its position to its end, study by study: the latest change first, then studies that changed
 * meanwhile. Progress and findings are written after each study: a dispatcher that takes the audit over continues there.
 */
export async function runAudit(running: RunningAudit, begun: TargetAudit): Promise<void> {
  let audit: TargetAudit = { ...begun, reason: undefined, waitsUntil: undefined };
  try {
    await using target = await openTarget(running, audit.target);
    audit = await walk(running, target, audit);
    await endAudit(running, audit);
  } catch (error) {
    if (running.signal.aborted || error instanceof AuditLeft) return;
    const { waitMs, message, tried } = error instanceof AuditWaits ? error : waitsFor(error);
    const now = await redisNow(running.context.redis, running.context.config.redis.prefix);
    const known = await running.audits.read(audit.target);
    if (known?.id !== audit.id) return;
    running.context.log.warn({ target: audit.target, err: error }, 'target audit waits');
    await running.audits.save({ ...known, reason: message, waitsUntil: now + waitMs, tried }, running.token);
  }
}

function waitsFor(error: unknown, tried?: string): AuditWaits {
  const { code, message, disposition } = asDispatchError(error);
  return new AuditWaits(`${code}: ${message}`, disposition === 'retry' ? shortWaitMs : longWaitMs, tried, {
    cause: error,
  });
}

async function walk(running: RunningAudit, target: OpenTarget, begun: TargetAudit): Promise<TargetAudit> {
  let audit = begun;
  let countedAt = performance.now();
  let requests = 0;
  for await (const { records, after, isLate } of batches(running, begun)) {
    for (const record of records) {
      const result = await lookAt(running, target, record, audit);
      if (result === undefined) continue;
      audit = past(audit, record, { ...result.counts, requests: target.pace.count - requests }, isLate);
      audit = withReasons(audit, result.uncomparedWhy);
      requests = target.pace.count;
      await save(running, audit, [result.change]);
      if (performance.now() - countedAt >= countEveryMs) {
        audit = withOpen(audit, await running.audits.open(audit.target));
        countedAt = performance.now();
      }
      if (!running.mayGoOn()) throw new AuditWaits('it is outside of its schedule', shortWaitMs);
    }
    audit = atPage(audit, after, isLate || after === undefined);
    await save(running, audit);
  }
  return audit;
}

/**
 * The audit with its position after this delivery. Among deliveries that change all the time the position is that of the
 * preceding page.
 */
function past(audit: TargetAudit, record: DeliveryRecord, counts: AuditCounts, isLate: boolean): TargetAudit {
  const after = isLate ? audit.after : placeText({ score: record.updatedAt, member: record.deliveryId });
  return { ...audit, counts: plus(audit.counts, counts), after, tried: undefined };
}

function withOpen(audit: TargetAudit, open: OpenFindings): TargetAudit {
  return { ...audit, open };
}

function withReasons(audit: TargetAudit, more: Readonly<Record<string, number>>): TargetAudit {
  const uncomparedWhy: Record<string, number> = { ...audit.uncomparedWhy };
  for (const [why, some] of Object.entries(more)) {
    if (why in uncomparedWhy || Object.keys(uncomparedWhy).length < maxReasons)
      uncomparedWhy[why] = (uncomparedWhy[why] ?? 0) + some;
  }
  return Object.keys(uncomparedWhy).length === 0 ? audit : { ...audit, uncomparedWhy };
}

function atPage(audit: TargetAudit, after: string | undefined, isLate: boolean): TargetAudit {
  return { ...audit, after, isLate };
}

/** Deliveries to check, in a resumable order. */
async function* batches({ context }: RunningAudit, audit: TargetAudit) {
  const { target, scope } = audit;
  if (scope.study !== undefined) {
    const studies = await context.records.studiesOfUid(scope.study);
    const all = (await Promise.all(studies.map((study) => context.records.deliveriesOf(study)))).flat();
    yield { records: all.filter((one) => one.target === target), after: undefined, isLate: false };
    return;
  }
  let { after, isLate = false } = audit;
  for (;;) {
    const since = isLate ? audit.startedAt : scope.since;
    const found = await context.records.deliveries({
      target,
      since,
      ...(!isLate && { until: audit.startedAt }),
      after: after === undefined ? undefined : placeOf(after),
      limit: atOnce,
    });
    after = found.next && placeText(found.next);
    const isAtEnd = after === undefined;
    yield { records: found.records, after, isLate };
    if (isAtEnd && isLate) return;
    isLate ||= isAtEnd;
  }
}

interface LookedAt {
  readonly counts: Omit<AuditCounts, 'requests'>;
  readonly uncomparedWhy: Readonly<Record<string, number>>;
  readonly change: FindingChange;
}

/** @returns undefined for deliveries outside the scope of the audit */
async function lookAt(
  running: RunningAudit,
  target: OpenTarget,
  record: DeliveryRecord,
  audit: TargetAudit,
): Promise<LookedAt | undefined> {
  const { context, audits, token, signal } = running;
  if (record.confirmed === 0 || !isSampled(record, audit) || !(await isLatest(context, record, target.ledger)))
    return undefined;
  await throwIfStopped(running, audit);
  if (!(await audits.renew(audit.target, token))) throw new AuditLeft();
  const { content } = audit.scope;
  const field = fieldOf(record);
  try {
    const { counts, finding, uncomparedWhy } = await auditStudy({ context, record, ...target, content, signal });
    if (!finding && counts.unread > 0) return { counts, uncomparedWhy, change: await unchanged() };
    const now = await redisNow(context.redis, context.config.redis.prefix);
    const former = await audits.finding(audit.target, field);
    const found = finding && { ...finding, content, auditId: audit.id, at: now };
    const kept = withFormer({ former, found, counts, content });
    return { counts, uncomparedWhy, change: [field, kept && { ...kept, auditId: audit.id }] };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof AuditLeft) throw error;
    if (stopsAudit(error) || audit.tried !== field) throw waitsFor(error, field);
    context.log.warn({ target: audit.target, delivery: record.deliveryId, err: error }, 'study not audited');
    const unread = record.confirmed;
    return {
      counts: { ...noCounts, studies: 1, instances: unread, unread },
      uncomparedWhy: {},
      change: await unchanged(),
    };
  }

  /** Earlier findings may still be valid: the study could not be read. */
  async function unchanged(): Promise<FindingChange> {
    const known = await audits.finding(audit.target, field);
    return [field, known && { ...known, auditId: audit.id }];
  }
}

/** Whether the audit includes the study: the same ones in every dispatcher that continues the audit. */
function isSampled({ source, orthancStudyId }: DeliveryRecord, { id, scope }: TargetAudit): boolean {
  if (scope.sample >= 1) return true;
  const digest = createHash('sha256').update(`${id} ${source} ${orthancStudyId}`).digest();
  return digest.readUInt32BE(0) / 2 ** 32 < scope.sample;
}

/**
 * Whether a delivery to the current place of the target is the newest one of its study and form with confirmations: it
 * represents all of them.
 */
async function isLatest(context: DispatcherContext, record: DeliveryRecord, ledger: string): Promise<boolean> {
  if ((record.ledger ?? record.target) !== ledger) return false;
  const shape = ledgerKeyOf(record).target;
  const all = await context.records.deliveriesOf(record);
  const newest = all.find((one) => one.confirmed > 0 && ledgerKeyOf(one).target === shape);
  return newest?.deliveryId === record.deliveryId;
}

/** Field of the finding of a study in one shape. No name contains a space. */
export function fieldOf(record: DeliveryRecord): string {
  return `${record.source} ${record.orthancStudyId} ${ledgerKeyOf(record).target}`;
}

async function throwIfStopped({ audits }: RunningAudit, audit: TargetAudit): Promise<void> {
  if ((await audits.asked()).get(audit.target)?.kind === 'stop') throw new AuditLeft();
}

async function save({ audits, token }: RunningAudit, audit: TargetAudit, changes: readonly FindingChange[] = []) {
  if (!(await audits.save(audit, token, changes))) throw new AuditLeft();
}

/** Ends an audit. Findings that an audit of all studies did not find again are removed. */
async function endAudit(running: RunningAudit, audit: TargetAudit): Promise<void> {
  const { audits, context, token } = running;
  const { study, since, sample } = audit.scope;
  const isWhole = study === undefined && since === undefined && sample >= 1;
  const findings = isWhole ? await audits.findings(audit.target) : new Map<string, never>();
  const old = [...findings].filter(([, { auditId }]) => auditId !== audit.id);
  await save(
    running,
    audit,
    old.map(([field]) => [field, undefined]),
  );
  const now = await redisNow(context.redis, context.config.redis.prefix);
  const ended: TargetAudit = {
    ...audit,
    state: 'done',
    endedAt: now,
    after: undefined,
    open: await audits.open(audit.target),
  };
  await audits.save(ended, token, [], { isEnd: true });
  context.log.info({ target: audit.target, ...ended.counts }, 'target audit ended');
}

function plus(one: AuditCounts, other: AuditCounts): AuditCounts {
  const names = Object.keys(noCounts) as (keyof AuditCounts)[];
  const sum = names.map((name) => [name, one[name] + other[name]] as const);
  return Object.fromEntries(sum) as unknown as AuditCounts;
}
