import { givesNewUids, ledgerKeyOf, type DeliveryData } from '@dicom-dispatch/core';
import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { Attempt } from './delivery-turn.ts';

/**
 * Looks whether the target may have got two contents under one SOP Instance UID, and notes it with both deliveries: for targets
 * that know an instance by that UID alone. Where the study itself has a UID in several series, or another study (of another
 * patient, or of a patient that was corrected) has the same Study Instance UID and was delivered there, too.
 */
export async function noticeConflicts(attempt: Attempt): Promise<void> {
  const { context, data, tracker, log } = attempt;
  if (tracker.counts.confirmed === 0) return;
  try {
    const { handler } = await context.resolve(data.target);
    if (handler.keyedBy !== 'sop-instance-uid') return;
    const texts = [
      ...(tracker.sharedUids > 0 ? [sharedInStudy(tracker.sharedUids)] : []),
      ...(await sharedWithOthers(attempt)),
    ];
    if (texts.length > 0) await note(attempt, data.deliveryId, texts.join(' '));
  } catch (error) {
    log.warn({ err: error }, 'studies with the same UIDs could not be looked for');
  }
}

async function sharedWithOthers(attempt: Attempt): Promise<string[]> {
  const { context, data } = attempt;
  const studies = await context.records.studiesOfUid(data.studyInstanceUid);
  // The same study of the same patient in another source is no other content.
  const others = studies.filter(({ orthancStudyId }) => orthancStudyId !== data.orthancStudyId);
  if (others.length === 0) return [];
  const own = await uidsOf(attempt, { ...data, ledger: attempt.ledger });
  const texts: string[] = [];
  for (const other of others) {
    const deliveries = (await context.records.deliveriesOf(other)).filter((one) => isToSamePlace(attempt, one));
    const [latest] = deliveries;
    if (!latest) continue;
    const lists = await Promise.all(shapesOf(deliveries).map((one) => uidsOf(attempt, one)));
    const shared = new Set(lists.flatMap((uids) => [...uids].filter((uid) => own.has(uid)))).size;
    if (shared === 0) continue;
    texts.push(sharedWith(shared, other.orthancStudyId, other.source));
    await note(attempt, latest.deliveryId, sharedWith(shared, data.orthancStudyId, data.source));
  }
  return texts;
}

function isToSamePlace({ data, ledger }: Attempt, other: DeliveryRecord): boolean {
  return (
    other.target === data.target && (other.ledger ?? other.target) === ledger && keepsUids(other) === keepsUids(data)
  );
}

function keepsUids({ transform }: Pick<DeliveryData, 'transform'>): boolean {
  return !transform || !givesNewUids(transform.definition);
}

/** One delivery of each transform: they share its ledger. */
function shapesOf(deliveries: readonly DeliveryRecord[]): DeliveryRecord[] {
  return [...new Map(deliveries.map((one) => [ledgerKeyOf(one).target, one])).values()];
}

/** SOP Instance UIDs that the target has confirmed. */
async function uidsOf({ context }: Attempt, terms: Parameters<typeof ledgerKeyOf>[0]): Promise<Set<string>> {
  const entries = await context.ledger.entries(ledgerKeyOf(terms));
  return new Set(
    [...entries].flatMap(([name, { state }]) => (state === 'delivered' ? [name.split('@')[0] ?? ''] : [])),
  );
}

async function note({ context, data, log }: Attempt, deliveryId: string, notice: string): Promise<void> {
  // The other study's delivery may be noting the same at this moment.
  const event = { kind: 'noticed', text: notice } as const;
  const { kind } = await context.records.change(deliveryId, { patch: { notice }, event, guards: ['unless-same'] });
  if (kind === 'done')
    log.warn({ noted: deliveryId, target: data.target, notice }, 'one SOP Instance UID stands for several instances');
}

function sharedInStudy(count: number): string {
  return `${count} instances of the study share a SOP Instance UID with an instance of another series: the target may keep only one of them.`;
}

function sharedWith(count: number, orthancStudyId: string, source: string): string {
  const what = count === 1 ? 'A SOP Instance UID' : `${count} SOP Instance UIDs`;
  return `${what} of this study came to the target with study ${orthancStudyId} of ${source} (another patient), too: the target may show only one of the two.`;
}
