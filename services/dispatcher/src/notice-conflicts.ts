import { givesNewUids, ledgerKeyOf, targetPlace, type DeliveryData } from '@dicom-dispatch/core';
import type { DeliveryRecord, StudyKey, StudyRecord } from '@dicom-dispatch/state/records';
import type { Attempt } from './delivery-job-run.ts';

/** In each note on a UID that stands for several instances. */
const onlyOne = 'only one of';

/** Whether a note says that the target may have lost, or not taken, what it confirmed: another has its SOP Instance UID. */
export function warnsOfLoss({ notice }: Pick<DeliveryRecord, 'notice'>): boolean {
  return notice?.includes(onlyOne) === true;
}

/** Of so many studies that share UIDs with one each is named; of more, their number. */
const maxNamed = 3;

/**
 * Looks whether the target may have got two contents under one SOP Instance UID, and notes it with both deliveries: for targets
 * that know an instance by that UID alone. Where the study itself has a UID in several series, or another study, of whatever
 * patient, Study Instance UID, source and time, was delivered there with it, too. For the others it notes whether files were
 * replaced that the study had not sent.
 */
export async function noticeConflicts(attempt: Attempt): Promise<void> {
  const { context, data, tracker, log } = attempt;
  if (tracker.counts.confirmed === 0) return;
  try {
    const { handler } = await context.resolve(data.target);
    const isByUid = handler.keyedBy === 'sop-instance-uid';
    const texts = [
      ...(tracker.replacedUnknown > 0 ? [replacedUnknown(tracker.replacedUnknown)] : []),
      ...(isByUid && tracker.sharedUids > 0 ? [sharedInStudy(tracker.sharedUids)] : []),
      ...(isByUid ? await sharedWithOthers(attempt) : []),
    ];
    if (texts.length > 0) await note(attempt, data.deliveryId, texts.join(' '));
  } catch (error) {
    log.warn({ err: error }, 'studies with the same UIDs could not be searched');
  }
}

async function sharedWithOthers(attempt: Attempt): Promise<string[]> {
  const { data } = attempt;
  const own = await uidsOf(attempt, { ...data, ledger: attempt.ledger });
  // Each of two that end at the same time has confirmed its instances before it looks: the later one finds the other.
  const others = await othersThatMayHave(attempt, await attempt.context.sharedUids.add(data, own));
  const texts: string[] = [];
  for (const other of others) {
    const deliveries = await deliveriesToSamePlace(attempt, other);
    const [latest] = deliveries;
    if (!latest) continue;
    const lists = await Promise.all(shapesOf(deliveries).map((one) => uidsOf(attempt, one)));
    const shared = new Set(lists.flatMap((uids) => [...uids].filter((uid) => own.has(uid)))).size;
    if (shared === 0) continue;
    const isSameUid = latest.studyInstanceUid === data.studyInstanceUid;
    texts.push(sharedWith(shared, other, isSameUid));
    for (const [newest] of Map.groupBy(deliveries, ({ target }) => target).values()) {
      if (newest) await note(attempt, newest.deliveryId, sharedWith(shared, data, isSameUid));
    }
  }
  const more = texts.length - maxNamed;
  return more > 0 ? [...texts.slice(0, maxNamed), `So do instances of ${more} more studies.`] : texts;
}

/**
 * Which of some SOP Instance UIDs have come with another study to the place where the target is now. An attempt adds its own at its end,
 * when they are confirmed: of another one that is under way at this moment nothing is found.
 */
export async function takenUids(attempt: Attempt, uids: ReadonlySet<string>): Promise<ReadonlyMap<string, StudyKey>> {
  const taken = new Map<string, StudyKey>();
  for (const other of await othersThatMayHave(attempt, await attempt.context.sharedUids.find(attempt.data, uids))) {
    for (const one of shapesOf(await deliveriesToSamePlace(attempt, other))) {
      for (const uid of await uidsOf(attempt, one)) if (uids.has(uid)) taken.set(uid, other);
    }
  }
  return taken;
}

/** Studies with its Study Instance UID, and those that were found to have, maybe, one of its SOP Instance UIDs. */
async function othersThatMayHave(attempt: Attempt, found: readonly StudyKey[]): Promise<StudyKey[]> {
  const { data } = attempt;
  const others = [...(await othersWithItsUid(attempt)), ...found].filter(
    ({ orthancStudyId }) => orthancStudyId !== data.orthancStudyId,
  );
  return [...new Map(others.map((one) => [`${one.source} ${one.orthancStudyId}`, one])).values()];
}

/**
 * Whether another study with its Study Instance UID goes to the place where the target is now. What its deliveries have
 * confirmed does not count: that is written down after a file has its name.
 */
export async function isSharedPlace(attempt: Attempt): Promise<boolean> {
  for (const other of await othersWithItsUid(attempt)) {
    for (const one of await attempt.context.records.deliveriesOf(other)) {
      if (await isAtSamePlace(attempt, one)) return true;
    }
  }
  return false;
}

/** The same study of the same patient in another source is no other content. */
async function othersWithItsUid({ context, data }: Attempt): Promise<StudyRecord[]> {
  const studies = await context.records.studiesOfUid(data.studyInstanceUid);
  return studies.filter(({ orthancStudyId }) => orthancStudyId !== data.orthancStudyId);
}

/** Whether a delivery went to where the target is now: by this target, or by another one with its address. */
async function isAtSamePlace({ context, data, ledger }: Attempt, other: DeliveryRecord): Promise<boolean> {
  const theirs = other.ledger ?? other.target;
  if (other.target === data.target) return theirs === ledger;
  const config = context.config.targets[data.target];
  if (!config) return false;
  const { id, identity } = targetPlace(config);
  const { places } = await context.places.known(other.target);
  // A place may have a name of its own, since an address may lead to several.
  return places.some((one) => one.ledger === theirs && one.id === id && one.identity === identity);
}

/** Those of another study that the place of the target has under the same UIDs, the newest first. */
async function deliveriesToSamePlace(attempt: Attempt, other: StudyKey): Promise<DeliveryRecord[]> {
  const found: DeliveryRecord[] = [];
  for (const one of await attempt.context.records.deliveriesOf(other)) {
    if (keepsUids(one) === keepsUids(attempt.data) && (await isAtSamePlace(attempt, one))) found.push(one);
  }
  return found;
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
    log.warn({ noted: deliveryId, target: data.target, notice }, 'one SOP Instance UID identifies several instances');
}

function replacedUnknown(count: number): string {
  const what = count === 1 ? 'An instance' : `${count} instances`;
  return `${what} replaced a file with the same UIDs and patient and another content that this study had not sent: one of another source, of another transform, or from before.`;
}

function sharedInStudy(count: number): string {
  return `${count} instances of the study share a SOP Instance UID with an instance of another series: the target may keep ${onlyOne} them.`;
}

function sharedWith(count: number, { orthancStudyId, source }: StudyKey, isSameUid: boolean): string {
  const what = count === 1 ? 'A SOP Instance UID' : `${count} SOP Instance UIDs`;
  const difference = isSameUid ? 'another patient' : 'another Study Instance UID';
  return `${what} of this study was also sent to the target with study ${orthancStudyId} of ${source} (${difference}): the target may show ${onlyOne} the two.`;
}
