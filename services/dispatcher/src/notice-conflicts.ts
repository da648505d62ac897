import type { DeliveryRecord, StudyKey } from '@dicom-dispatch/state/records';
import { deliveriesToSamePlace, isTwin, othersThatMayHave, shapesOf, uidsOf } from './at-same-place.ts';
import type { Attempt } from './delivery-job-run.ts';
import { areDifferent, filesSentBy } from './differing-files.ts';

/** Up to this number of studies that share UIDs with one are named; of more, only the number. */
const maxNamed = 3;

interface Finding {
  readonly text: string;
  /** Whether the target may have lost, or not stored, confirmed instances. */
  readonly mayBeLost: boolean;
}

/**
 * Checks whether the target may have received two contents with one SOP Instance UID, and notes it with both deliveries: for
 * targets that identify an instance by this UID alone. This applies if the study itself has a UID in several series, or if
 * another study, of any patient, Study Instance UID, source and time, was delivered there with it. For every target it notes
 * how many files were replaced that the study had not sent, and how many instances the target already had.
 *
 * @returns whether other studies can find the confirmed instances
 */
export async function noticeConflicts(attempt: Attempt): Promise<boolean> {
  const { context, data, tracker, log } = attempt;
  if (tracker.counts.confirmed === 0) return true;
  try {
    const { handler } = await context.resolve(data.target);
    const isByUid = handler.keyedBy === 'sop-instance-uid';
    const findings = [
      ...(tracker.replacedUnknown > 0 ? [{ text: replacedUnknown(tracker.replacedUnknown), mayBeLost: false }] : []),
      ...(tracker.existing > 0 ? [{ text: existing(tracker.existing), mayBeLost: true }] : []),
      ...(isByUid && tracker.sharedUids > 0 ? [{ text: sharedInStudy(tracker.sharedUids), mayBeLost: true }] : []),
      ...(isByUid ? await sharedWithOthers(attempt) : []),
    ];
    if (findings.length > 0) await note(attempt, data.deliveryId, findings);
    return true;
  } catch (error) {
    log.warn({ err: error }, 'studies with the same UIDs could not be searched');
    return false;
  }
}

async function sharedWithOthers(attempt: Attempt): Promise<Finding[]> {
  const { data } = attempt;
  const own = await uidsOf(attempt, { ...data, ledger: attempt.ledger });
  // Of two deliveries that end at the same time, each has confirmed its instances before the check: the later one finds the
  // other.
  const others = await othersThatMayHave(attempt, await attempt.context.sharedUids.add(data, own));
  const findings: Finding[] = [];
  for (const other of others) {
    const deliveries = await deliveriesToSamePlace(attempt, other);
    const [latest] = deliveries;
    if (!latest) continue;
    const twin = isTwin(attempt, other);
    const shared = twin ? await differing(attempt, own, deliveries) : await sharedBy(attempt, own, deliveries);
    if (shared === 0) continue;
    const difference = twin
      ? 'the same study there, but as other files'
      : latest.studyInstanceUid === data.studyInstanceUid
        ? 'another patient'
        : 'another Study Instance UID';
    findings.push(sharedWith(shared, other, difference));
    for (const [newest] of Map.groupBy(deliveries, ({ target }) => target).values()) {
      if (newest) await note(attempt, newest.deliveryId, [sharedWith(shared, data, difference)]);
    }
  }
  const more = findings.length - maxNamed;
  if (more <= 0) return findings;
  return [...findings.slice(0, maxNamed), { text: `So do instances of ${more} more studies.`, mayBeLost: true }];
}

/** How many of the SOP Instance UIDs the target has received with these deliveries of another study. */
async function sharedBy(
  attempt: Attempt,
  own: ReadonlySet<string>,
  deliveries: readonly DeliveryRecord[],
): Promise<number> {
  const lists = await Promise.all(shapesOf(deliveries).map((one) => uidsOf(attempt, one)));
  return new Set(lists.flatMap((uids) => [...uids].filter((uid) => own.has(uid)))).size;
}

/** How many of its instances another source has sent as other files. */
async function differing(
  attempt: Attempt,
  own: ReadonlySet<string>,
  deliveries: readonly DeliveryRecord[],
): Promise<number> {
  const mine = (await deliveriesToSamePlace(attempt, attempt.data)).filter(
    ({ target }) => target === attempt.data.target,
  );
  const [ours, theirs] = await Promise.all([filesSentBy(attempt, mine), filesSentBy(attempt, deliveries)]);
  return [...own].filter((uid) => areDifferent(ours.get(uid), theirs.get(uid))).length;
}

async function note({ context, data, log }: Attempt, deliveryId: string, findings: readonly Finding[]): Promise<void> {
  const notice = findings.map(({ text }) => text).join(' ');
  const patch = { notice, ...(findings.some(({ mayBeLost }) => mayBeLost) && { mayBeLost: true }) };
  // The other study's delivery may be noting the same at this moment.
  const event = { kind: 'noticed', text: notice } as const;
  const { kind } = await context.records.change(deliveryId, { patch, event, guards: ['unless-same'] });
  if (kind === 'done')
    log.warn({ noted: deliveryId, target: data.target, notice }, 'one SOP Instance UID identifies several instances');
}

function replacedUnknown(count: number): string {
  const what = count === 1 ? 'An instance' : `${count} instances`;
  return `${what} replaced a file with the same UIDs and patient and another content that this study had not sent: one of another source, of another transform, or from before.`;
}

function existing(count: number): string {
  return `The target says that it had ${count === 1 ? 'an instance' : `${count} instances`} before; the content was not compared.`;
}

function sharedInStudy(count: number): string {
  return `${count} instances of the study share a SOP Instance UID with an instance of another series: the target may keep only one of them.`;
}

function sharedWith(count: number, { orthancStudyId, source }: StudyKey, difference: string): Finding {
  const what = count === 1 ? 'A SOP Instance UID' : `${count} SOP Instance UIDs`;
  const text = `${what} of this study was also sent to the target with study ${orthancStudyId} of ${source} (${difference}): the target may show only one of the two.`;
  return { text, mayBeLost: true };
}
