import { asDispatchError, ledgerKeyOf } from '@dicom-dispatch/core';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { AuditFinding, AuditWish, FindingChange, TargetAudit } from '@dicom-dispatch/state/target-audits';
import { auditStudy, stopsAudit } from './audit-study.ts';
import { openTarget, type OpenTarget } from './open-target.ts';
import type { RunningAudit } from './run-audit.ts';
import { sendStudy } from './send-study.ts';

type Wish = AuditWish & { readonly kind: 'send' };

/**
 * Sends instances that audits found missing or different. Each study is compared once more: only confirmations that are false
 * now are removed from the ledger, each only if there is no newer one; its delivery, which is opened before, sends what the
 * ledger lacks. A study that cannot be compared keeps its finding, and the others continue.
 */
export async function sendMissing(running: RunningAudit, audit: TargetAudit, wish: Wish): Promise<void> {
  const { context, audits, token, signal } = running;
  const tally = { studies: 0, instances: 0 };
  let reason: string | undefined;
  const failed = (error: unknown, delivery?: string): void => {
    signal.throwIfAborted();
    const facts = { err: error, target: audit.target, delivery };
    if (!stopsAudit(error)) context.log.warn(facts, 'missing instances were not sent');
    const { code, message } = asDispatchError(error);
    reason = `sending missing instances: ${code}: ${message}`;
  };
  try {
    await using target = await openTarget(running, audit.target);
    for (const [field, finding] of await audits.findings(audit.target)) {
      if (wish.study !== undefined && finding.studyInstanceUid !== wish.study) continue;
      if (finding.missingCount + finding.differentCount === 0) continue;
      if (!(await audits.renew(audit.target, token))) return;
      try {
        const sent = await sendFinding(running, target, { audit, field, finding, by: wish.by });
        if (sent === 'left') return;
        if (sent === 0) continue;
        tally.studies += 1;
        tally.instances += sent;
      } catch (error) {
        if (stopsAudit(error)) throw error;
        failed(error, finding.deliveryId);
      }
    }
  } catch (error) {
    failed(error);
  }
  const at = await redisNow(context.redis, context.config.redis.prefix);
  const sent = { at, by: wish.by, ...tally };
  await audits.save({ ...audit, reason, sent, open: await audits.open(audit.target) }, token);
  context.log.info({ target: audit.target, ...tally }, 'missing instances are sent again');
}

interface SendingFinding {
  readonly audit: TargetAudit;
  readonly field: string;
  readonly finding: AuditFinding;
  readonly by: string;
}

/** @returns how many instances of the study are sent again; `left` if another dispatcher has the audit */
async function sendFinding(
  running: RunningAudit,
  target: OpenTarget,
  { audit, field, finding, by }: SendingFinding,
): Promise<number | 'left'> {
  const { context, audits, token, signal } = running;
  const record = await latestOf(running, finding);
  // The study is being sent: the end of its delivery, or the next audit, shows what is missing then.
  if (!record || record.state === 'active') return 0;
  const result = await auditStudy({ context, record, ...target, content: finding.differentCount > 0, signal });
  const key = ledgerKeyOf({ ...record, ledger: target.ledger });
  const { wrong, counts } = result;
  const instances = counts.missing + counts.different;
  const lacked = { deliveryId: record.deliveryId, key, wrong, instances, by };
  const taken = wrong.length > 0 ? await sendStudy(context, lacked) : 0;
  // Its delivery cannot be opened: the finding stays.
  if (taken === undefined) return 0;
  // What could not be read may still be missing.
  const isKnown = counts.unread === 0 && counts.uncompared === 0;
  const left = isKnown ? extrasOnly(finding, result.finding) : finding;
  const change: FindingChange = [field, left];
  return (await audits.save(audit, token, [change])) ? taken : 'left';
}

/** The latest delivery in the shape of the one that was audited. */
async function latestOf({ context }: RunningAudit, finding: AuditFinding): Promise<DeliveryRecord | undefined> {
  const audited = await context.records.delivery(finding.deliveryId);
  if (!audited) return undefined;
  const shape = ledgerKeyOf(audited).target;
  const all = await context.records.deliveriesOf(audited);
  return all.find((one) => one.confirmed > 0 && ledgerKeyOf(one).target === shape);
}

/** Findings that sending cannot correct stay. */
function extrasOnly(
  finding: AuditFinding,
  now: { readonly extra: readonly string[]; readonly extraCount: number } | undefined,
): AuditFinding | undefined {
  if (!now || now.extraCount === 0) return undefined;
  const { extra, extraCount } = now;
  return { ...finding, missing: [], missingCount: 0, different: [], differentCount: 0, extra, extraCount };
}
