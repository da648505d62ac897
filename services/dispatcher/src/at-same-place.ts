import { givesNewUids, ledgerKeyOf, targetPlace, type DeliveryData } from '@dicom-dispatch/core';
import type { DeliveryRecord, StudyKey, StudyRecord } from '@dicom-dispatch/state/records';
import type { Attempt } from './delivery-job-run.ts';

/**
 * Whether another study with its Study Instance UID is sent to the current address of the target. The confirmations of its
 * deliveries do not count, because they are written after a file was renamed.
 */
export async function isSharedPlace(attempt: Attempt): Promise<boolean> {
  for (const other of await othersWithItsUid(attempt)) {
    // The same study of the same patient in another source is no other content there: files are compared.
    if (isTwin(attempt, other)) continue;
    for (const one of await attempt.context.records.deliveriesOf(other)) {
      if (await isAtSamePlace(attempt, one)) return true;
    }
  }
  return false;
}

/** Studies with the Study Instance UID of this one, and the found ones, which may have one of its SOP Instance UIDs. */
export async function othersThatMayHave(attempt: Attempt, found: readonly StudyKey[]): Promise<StudyKey[]> {
  const others = [...(await othersWithItsUid(attempt)), ...found].filter((one) => !isOwn(attempt, one));
  return [...new Map(others.map((one) => [`${one.source} ${one.orthancStudyId}`, one])).values()];
}

/** Whether a study of another source has the patient and the Study Instance UID of this one. */
export function isTwin({ data }: Attempt, other: StudyKey): boolean {
  return other.orthancStudyId === data.orthancStudyId && other.source !== data.source;
}

/**
 * Deliveries of another study to the current address of the target, newest first. Only those that keep their UIDs, if this
 * one does, otherwise only those with new UIDs.
 */
export async function deliveriesToSamePlace(attempt: Attempt, other: StudyKey): Promise<DeliveryRecord[]> {
  const found: DeliveryRecord[] = [];
  for (const one of await attempt.context.records.deliveriesOf(other)) {
    if (keepsUids(one) === keepsUids(attempt.data) && (await isAtSamePlace(attempt, one))) found.push(one);
  }
  return found;
}

/** Whether instances leave under the UIDs that they have in the source. */
export function keepsUids({ transform }: Pick<DeliveryData, 'transform'>): boolean {
  return !transform || !givesNewUids(transform.definition);
}

/** One delivery for each transform: deliveries with the same transform share a ledger. */
export function shapesOf(deliveries: readonly DeliveryRecord[]): DeliveryRecord[] {
  return [...new Map(deliveries.map((one) => [ledgerKeyOf(one).target, one])).values()];
}

/** SOP Instance UIDs that the target has confirmed. */
export async function uidsOf(
  { context }: Pick<Attempt, 'context'>,
  terms: Parameters<typeof ledgerKeyOf>[0],
): Promise<Set<string>> {
  const entries = await context.ledger.entries(ledgerKeyOf(terms));
  return new Set(
    [...entries].flatMap(([name, { state }]) => (state === 'delivered' ? [name.split('@')[0] ?? ''] : [])),
  );
}

async function othersWithItsUid(attempt: Attempt): Promise<StudyRecord[]> {
  const studies = await attempt.context.records.studiesOfUid(attempt.data.studyInstanceUid);
  return studies.filter((one) => !isOwn(attempt, one));
}

function isOwn({ data }: Attempt, { source, orthancStudyId }: StudyKey): boolean {
  return source === data.source && orthancStudyId === data.orthancStudyId;
}

/**
 * Whether a delivery was sent to the current address of the target: by this target, or by another one with the same address.
 */
async function isAtSamePlace({ context, data, ledger }: Attempt, other: DeliveryRecord): Promise<boolean> {
  const theirs = other.ledger ?? other.target;
  if (other.target === data.target) return theirs === ledger;
  const config = context.config.targets[data.target];
  if (!config) return false;
  const { id, identity } = targetPlace(config);
  const { places } = await context.places.known(other.target);
  // A place may have a ledger with a separate name, since one address may lead to several places.
  return places.some((one) => one.ledger === theirs && one.id === id && one.identity === identity);
}
