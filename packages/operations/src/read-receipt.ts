import { instanceKey, ledgerKeyOf } from '@dicom-dispatch/core';
import type { LedgerEntry } from '@dicom-dispatch/state/ledger';
import { openReceipts, type ReceiptEntry } from '@dicom-dispatch/state/receipts';
import type { DeliveryRecord, DeliveryState, StudyKey } from '@dicom-dispatch/state/records';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { OperationError } from '@dicom-dispatch/pipeline';

/**
 * - `delivered`: the target has confirmed it, and this is still valid
 * - `replaced`: it was confirmed, and another version or another confirmation has replaced it
 * - `taken-back`: it was confirmed, and verification showed that the target does not have it
 * - `quarantined`: the target will not accept it
 */
export type ReceiptState = 'delivered' | 'replaced' | 'taken-back' | 'quarantined';

/** One instance at one target. Times are ms since 1970. UIDs are those in the source. */
export interface ReceiptLine {
  readonly sopInstanceUid: string;
  /** Undefined if only the ledger has it. */
  readonly seriesInstanceUid: string | undefined;
  readonly state: ReceiptState;
  /** Size of the file that was passed to the target's handler, and its SHA-256; undefined if unknown. */
  readonly sizeBytes: number | undefined;
  readonly sha256: string | undefined;
  readonly at: number;
  readonly attempt: number;
  readonly deliveryId: string;
  /** Response of the receiver: a status, an ETag, the path; or why it is quarantined. */
  readonly answer: string;
  /** Address of the target at that time. */
  readonly place: string;
}

/** What one target has received of a study, with one transform or unchanged. */
export interface TargetReceipt {
  readonly target: string;
  readonly transform: string | undefined;
  readonly deliveries: readonly {
    readonly deliveryId: string;
    readonly state: DeliveryState;
    readonly place: string;
    /** A doubt about confirmed instances: the target may show other content, or lack them. */
    readonly notice?: string;
  }[];
  readonly delivered: number;
  readonly quarantined: number;
  /** Number of confirmed instances whose details are unknown: they are kept for `receipts.keep`. */
  readonly withoutDetails: number;
  readonly lines: readonly ReceiptLine[];
}

export interface StudyReceipt extends StudyKey {
  readonly studyInstanceUid: string;
  /** When the receipt was created (ms since 1970). */
  readonly at: number;
  readonly targets: readonly TargetReceipt[];
}

/**
 * Confirmed instances of a study, one by one, as evidence.
 *
 * @param target - only this one
 * @throws OperationError `not-found` if there is no delivery of the study
 */
export async function readReceipt(context: PipelineContext, study: StudyKey, target?: string): Promise<StudyReceipt> {
  const all = await context.records.deliveriesOf(study);
  const meant = all.filter((one) => target === undefined || one.target === target);
  const [first] = meant;
  if (!first) {
    const to = target === undefined ? '' : ` to ${target}`;
    throw new OperationError('not-found', `there is no delivery of study ${study.orthancStudyId}${to}`);
  }
  const shapes = Map.groupBy(meant.toReversed(), (one) => ledgerKeyOf({ ...one, ledger: undefined }).target);
  return {
    source: study.source,
    orthancStudyId: study.orthancStudyId,
    studyInstanceUid: first.studyInstanceUid,
    at: Date.now(),
    targets: await Promise.all([...shapes.values()].map((deliveries) => receiptOf(context, deliveries))),
  };
}

/** @param deliveries - to one target with one transform, the oldest first */
async function receiptOf(context: PipelineContext, deliveries: readonly DeliveryRecord[]): Promise<TargetReceipt> {
  const receipts = openReceipts(context.redis, context.config());
  const ledgers = new Map(deliveries.map((one) => [one.ledger ?? one.target, one]));
  const entries = new Map<string, LedgerEntry>();
  // Instances confirmed at a former place of the target count too: each line has its place.
  for (const one of ledgers.values()) {
    for (const [name, entry] of await context.ledger.entries(ledgerKeyOf(one)))
      entries.set(`${one.ledger ?? one.target} ${name}`, entry);
  }
  const lines: ReceiptLine[] = [];
  const listed = new Set<string>();
  for (const delivery of deliveries) {
    for (const entry of await receipts.read(delivery.deliveryId)) {
      const line = lineOf(delivery, entry, entries, listed);
      lines.push(line);
    }
  }
  for (const [key, entry] of entries) {
    if (!listed.has(key)) lines.push(ledgerLine(key, entry, deliveries));
  }
  const [first] = deliveries;
  const count = (state: ReceiptState): number => lines.filter((line) => line.state === state).length;
  return {
    target: first?.target ?? '',
    transform: first?.transform?.name,
    deliveries: deliveries.map(({ deliveryId, state, place = '', notice }) => ({
      deliveryId,
      state,
      place,
      ...(notice !== undefined && { notice }),
    })),
    delivered: count('delivered'),
    quarantined: count('quarantined'),
    withoutDetails: lines.filter((line) => line.state === 'delivered' && line.seriesInstanceUid === undefined).length,
    lines: lines.sort((one, other) => one.at - other.at),
  };
}

function lineOf(
  { deliveryId, ledger, target }: DeliveryRecord,
  entry: ReceiptEntry,
  entries: ReadonlyMap<string, LedgerEntry>,
  listed: Set<string>,
): ReceiptLine {
  const { sopInstanceUid, seriesInstanceUid } = entry;
  const names = [sopInstanceUid, instanceKey({ sopInstanceUid, seriesInstanceUid, sharesSopInstanceUid: true })];
  const keys = names.map((name) => `${ledger ?? target} ${name}`);
  const isThis = (key: string): boolean => {
    const known = entries.get(key);
    return known?.state === 'delivered' && known.at === entry.at && deliveryId.startsWith(known.delivery);
  };
  const own = keys.find(isThis);
  if (own !== undefined) listed.add(own);
  const isKnown = keys.some((key) => entries.has(key));
  return { ...entry, deliveryId, state: own === undefined ? (isKnown ? 'replaced' : 'taken-back') : 'delivered' };
}

/** An entry of the ledger without details. */
function ledgerLine(key: string, entry: LedgerEntry, deliveries: readonly DeliveryRecord[]): ReceiptLine {
  const [ledger = '', ...rest] = key.split(' ');
  const [sopInstanceUid = '', seriesInstanceUid] = rest.join(' ').split('@');
  const delivery = deliveries.find(({ deliveryId }) => deliveryId.startsWith(entry.delivery));
  const place = delivery?.place ?? deliveries.find((one) => (one.ledger ?? one.target) === ledger)?.place ?? '';
  const note = entry.state === 'quarantined' ? entry.error : entry.warning;
  return {
    sopInstanceUid,
    seriesInstanceUid,
    state: entry.state,
    sizeBytes: undefined,
    sha256: undefined,
    at: entry.at,
    attempt: entry.attempt,
    deliveryId: delivery?.deliveryId ?? entry.delivery,
    answer: note ? `${note.code}: ${note.message}` : '',
    place,
  };
}
