import { OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import {
  TargetAudits,
  type AuditFinding,
  type AuditScope,
  type TargetAudit,
} from '@dicom-dispatch/state/target-audits';
import { resolveTarget } from '@dicom-dispatch/targets';
import { auditGaps } from './audit-gaps.ts';

/** Data of audits of a target. */
export interface AuditedTarget {
  /** The running or last one; undefined before the first. */
  readonly audit: TargetAudit | undefined;
  /** What `audit` could not determine, one sentence each; none if it has compared everything. */
  readonly gaps: readonly string[];
  /** Studies with missing, different or additional instances, the newest finding first. */
  readonly findings: readonly AuditFinding[];
  /** Audits that have ended, the newest first, at most 100. */
  readonly history: readonly TargetAudit[];
}

type Context = Pick<PipelineContext, 'config' | 'redis'>;

/** @throws OperationError `not-found` */
export async function readTargetAudit(context: Context, target: string): Promise<AuditedTarget> {
  const audits = open(context, target);
  const [audit, findings, history] = await Promise.all([
    audits.read(target),
    audits.findings(target),
    audits.history(target),
  ]);
  return {
    audit,
    gaps: audit ? auditGaps(audit) : [],
    findings: [...findings.values()].sort((one, other) => other.at - one.at),
    history,
  };
}

/**
 * Requests that a dispatcher compares the content of a target with its confirmations.
 *
 * @throws OperationError `not-found`; `invalid` if targets of this type cannot be listed; `conflict` while an audit of it
 *   is running
 */
export async function startTargetAudit(
  context: Context,
  target: string,
  scope: AuditScope,
  actor: Actor,
): Promise<void> {
  const audits = open(context, target);
  const configured = context.config().targets[target];
  const { handler } = await resolveTarget(target, configured);
  if (!handler.inventory) {
    throw new OperationError(
      'invalid',
      `a target of type ${handler.type} cannot list its contents: it cannot be audited`,
    );
  }
  await refuseWhileRunning(audits, target);
  await audits.ask(target, { kind: 'start', by: actor.name, scope });
}

/** Ends the running audit; its findings are kept. @throws OperationError `not-found`, `conflict` */
export async function stopTargetAudit(context: Context, target: string, actor: Actor): Promise<void> {
  const audits = open(context, target);
  if ((await audits.read(target))?.state !== 'running' && !(await audits.asked()).has(target)) {
    throw new OperationError('conflict', `no audit of ${target} is in progress`);
  }
  await audits.ask(target, { kind: 'stop', by: actor.name });
}

/**
 * Requests that a dispatcher sends instances that audits found missing or different. `readTargetAudit` has their number.
 *
 * @param study - only this study (Study Instance UID)
 * @throws OperationError `not-found`; `conflict` while an audit is running, or if there is nothing to send
 */
export async function sendMissing(
  context: Context,
  target: string,
  study: string | undefined,
  actor: Actor,
): Promise<void> {
  const audits = open(context, target);
  await refuseWhileRunning(audits, target);
  const all = [...(await audits.findings(target)).values()];
  const meant = all.filter((one) => study === undefined || one.studyInstanceUid === study);
  if (!meant.some(({ missingCount, differentCount }) => missingCount + differentCount > 0)) {
    throw new OperationError('conflict', `no audit has found anything to send to ${target}`);
  }
  await audits.ask(target, { kind: 'send', by: actor.name, ...(study !== undefined && { study }) });
}

async function refuseWhileRunning(audits: TargetAudits, target: string): Promise<void> {
  const [audit, asked] = [await audits.read(target), await audits.asked()];
  if (audit?.state === 'running' || asked.has(target)) {
    throw new OperationError('conflict', `an audit of ${target} is in progress: wait until it ends, or stop it`);
  }
}

function open({ config, redis }: Context, target: string): TargetAudits {
  if (!config().targets[target]) throw new OperationError('not-found', `there is no target "${target}"`);
  return new TargetAudits(redis, config().redis.prefix);
}
