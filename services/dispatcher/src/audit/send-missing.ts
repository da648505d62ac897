import { asDispatchError, ledgerKeyOf } from '@dicom-dispatch/core';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { redisNow } from '@dicom-dispatch/state/redis';
import type { AuditFinding, AuditWish, FindingChange, TargetAudit } from '@dicom-dispatch/state/target-audits';
import { auditStudy, stopsAudit } from './audit-study.ts';
import { openTarget } from './open-target.ts';
import type { RunningAudit } from './run-audit.ts';
import { sendStudy } from './send-study.ts';

type Wish = AuditWish & { readonly kind: 'send' };

/**
 * Sends instances that audits found missing or different. Each study is compared once more: only confirmations that are
 * false now are
 * removed from the ledger, each only if there is no newer one; its delivery, which is opened before, sends what the ledger
 * lacks.
 */
export async function sendMissing(running: RunningAudit, audit: TargetAudit, wish: Wish): Promise<void> {
  const { context, audits, token, signal } = running;
  const tally = { studies: 0, instances: 0 };
  let reason: string | undefined;
  try {
    await using target = await openTarget(running, audit.target);
    for (const [field, finding] of await audits.findings(audit.target)) {
      if (wish.study !== undefined && finding.studyInstanceUid !== wish.study) continue;
      if (finding.missingCount + finding.differentCount === 0) continue;
      if (!(await audits.renew(audit.target, token))) return;
      const record = await latestOf(running, finding);
      // It is being sent: its end, or the next audit, shows what is missing then.
      if (!record || record.state === 'active') continue;
      const result = await auditStudy({ context, record, ...target, content: finding.differentCount > 0, signal });
      const key = ledgerKeyOf({ ...record, ledger: target.ledger });
      const { wrong, counts } = result;
      const instances = counts.missing + counts.different;
      const lacked = { deliveryId: record.deliveryId, key, wrong, instances, by: wish.by };
      const taken = wrong.length > 0 ? await sendStudy(context, lacked) : 0;
      // Its delivery cannot be opened: the finding stays.
      if (taken === undefined) continue;
      // What could not be read may still be missing.
      const isKnown = counts.unread === 0 && counts.uncompared === 0;
      const left = isKnown ? extrasOnly(finding, result.finding) : finding;
      const change: FindingChange = [field, left];
      if (!(await audits.save(audit, token, [change]))) return;
      if (taken === 0) continue;
      tally.studies += 1;
      tally.instances += taken;
    }
  } catch (error) {
    signal.throwIfAborted();
    if (!stopsAudit(error)) context.log.warn({ err: error, target: audit.target }, 'missing instances were not sent');
    const { code, message } = asDispatchError(error);
    reason = `sending missing instances: ${code}: ${message}`;
  }
  const at = await redisNow(context.redis, context.config.redis.prefix);
  const sent = { at, by: wish.by, ...tally };
  await audits.save({ ...audit, reason, sent, open: await audits.open(audit.target) }, token);
  context.log.info({ target: audit.target, ...tally }, 'missing instances are sent again');
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
