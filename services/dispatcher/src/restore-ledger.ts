import {
  contentHash,
  ledgerKeyOf,
  ledgerVersion,
  type DeliveryData,
  type ManifestInstance,
} from '@dicom-dispatch/core';
import type { InstanceVersion, LedgerKey } from '@dicom-dispatch/state/ledger';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import { TargetAudits } from '@dicom-dispatch/state/target-audits';
import { fenceOf, type Attempt } from './delivery-job-run.ts';

/** Maximum number of earlier deliveries of a study to check. */
const maxEarlier = 50;

/**
 * The ledger of a study may have been lost alone (docs/decisions/0027-one-key-lost.md): the record of the latest delivery
 * still shows that the target has confirmed everything. Its content hash shows which instances these were, so they are
 * confirmed again instead of sent again. If this cannot be determined, everything is sent once more, and reported.
 *
 * @param all - every instance of the study, before any selection
 */
export async function restoreLedger(attempt: Attempt, key: LedgerKey, all: readonly ManifestInstance[]): Promise<void> {
  const { context, data, log } = attempt;
  // An operator may have requested that everything is sent again, and has had the ledger removed.
  if (!data.again || data.nonce !== undefined || data.late === 'all') return;
  // An earlier attempt may have revoked confirmations. Its number is no proof: not every attempt is counted.
  if (attempt.record.startedAt !== undefined) return;
  const { delivered, quarantined } = await context.ledger.summary(key);
  if (delivered + quarantined > 0) return;
  // Before the record is read: an audit that still knows the lost confirmations may be about to remove them.
  const isAudited = await new TargetAudits(context.redis, context.config.redis.prefix).isLeased(data.target);
  const latest = (await context.records.deliveriesOf(data, maxEarlier)).find(
    (one) => one.deliveryId !== data.deliveryId && ledgerKeyOf(one).target === key.target,
  );
  if (!latest || latest.confirmed === 0) return;
  // It was reopened: an audit may have removed the confirmations, because the target lacks the instances.
  if (latest.retriedAt !== undefined && latest.state !== 'delivered') return;
  const had = isAudited ? undefined : contentOf(latest, data, all);
  const text = had
    ? `the ledger of the study was missing in Redis: ${had.length} instances that an earlier delivery has confirmed are not sent again`
    : 'the ledger of the study was missing in Redis: what an earlier delivery has confirmed is sent once more';
  if (had) {
    const { deliveryId, attempts, endedAt } = latest;
    const entry = { attempt: attempts, deliveryId, ...(endedAt !== undefined && { at: endedAt }) };
    await context.ledger.confirm(
      key,
      had.map((one) => ({ ...one, ...entry })),
      fenceOf(attempt),
    );
  }
  await context.records.update(data.deliveryId, {}, { kind: 'noticed', attempt: attempt.number, text });
  log.error({ earlier: latest.deliveryId, instances: had?.length }, 'the ledger of a study was missing in Redis');
}

/**
 * The instances of an earlier delivery that confirmed its complete content, with their versions in the ledger: the first ones
 * that had arrived. Its content hash proves this.
 */
function contentOf(
  earlier: DeliveryRecord,
  data: DeliveryData,
  all: readonly ManifestInstance[],
): readonly InstanceVersion[] | undefined {
  const { instanceCount, confirmed, total } = earlier;
  const isWhole = earlier.state === 'delivered' && confirmed === instanceCount && total === instanceCount;
  const isSameVersion = ledgerVersion('', earlier) === ledgerVersion('', data);
  if (!isWhole || earlier.mayBeLost || !isSameVersion) return undefined;
  const first = all.toSorted((one, other) => (one.version < other.version ? -1 : 1)).slice(0, instanceCount);
  if (contentHash(first) !== earlier.contentHash) return undefined;
  return first.map((one) => ({ ...one, fileUuid: undefined, version: ledgerVersion(one.version, data) }));
}
