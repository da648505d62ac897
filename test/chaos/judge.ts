import type { DeliveryRecord } from '@dicom-dispatch/state/records';
import type { StoredFile } from '@dicom-dispatch/harness';
import type { StoredOnce } from '../e2e/support/fault-scp.ts';

export interface Evidence {
  readonly seed: number;
  readonly disturbances: number;
  /** SOP Instance UID to hash of the dataset, as uploaded. */
  readonly uploaded: ReadonlyMap<string, string>;
  readonly stores: readonly StoredOnce[];
  readonly files: readonly StoredFile[];
  readonly deliveries: readonly DeliveryRecord[];
  /** Redis lost data: arrived instances may have been sent once more. */
  readonly lostData: boolean;
  readonly isQuiet: boolean;
  /** `status --check` reported a problem while there was one. */
  readonly isAlarmed: boolean;
  /** `status --check` reported no problem at the end. */
  readonly isGood: boolean;
  readonly rest: string;
  logs(): string;
}

export interface Verdict {
  readonly seed: number;
  readonly instances: number;
  readonly disturbances: number;
  /** Instances that are not at a receiver, or not as they were uploaded. */
  readonly missing: number;
  /** Instances that a delivery counts as delivered and its receiver lacks. */
  readonly falselyDelivered: number;
  /** Deliveries whose study was falsely reported as gone from the source. */
  readonly falselyGone: number;
  /** C-STOREs of an instance that the receiver had accepted before. */
  readonly duplicates: number;
  /** The most that can have been in flight when something was disturbed. */
  readonly duplicatesAllowed: number;
  readonly lostData: boolean;
  /** Everything completed, automatically or by requested actions of an operator. */
  readonly isQuiet: boolean;
  readonly isAlarmed: boolean;
  readonly isGood: boolean;
  /** Whether none of this is wrong. */
  readonly passes: boolean;
  readonly logs: string;
}

/** Two deliveries at a time over both dispatchers, two associations each, two instances on an association. */
const inFlight = 2 * 2 * 2;

/** Compares the content of the receivers with the uploaded studies. */
export function judge(evidence: Evidence): Verdict {
  const { uploaded, stores, files, deliveries } = evidence;
  const pacs = new Map(
    stores.filter(({ status }) => status === 0).map(({ sopInstanceUid, datasetHash }) => [sopInstanceUid, datasetHash]),
  );
  const disk = new Map(files.map((file) => [file.sopInstanceUid, file.datasetSha256]));
  let missing = 0;
  for (const [uid, hash] of uploaded) {
    if (pacs.get(uid) !== hash) missing += 1;
    if (disk.get(uid) !== hash) missing += 1;
  }
  const accepted = stores.filter(({ status }) => status === 0);
  const duplicates = accepted.length - pacs.size;
  const confirmed = (target: string): number =>
    // Of several deliveries of one study the last one counts.
    [
      ...Map.groupBy(
        deliveries.filter((one) => one.target === target && one.state === 'delivered'),
        ({ studyInstanceUid }) => studyInstanceUid,
      ).values(),
    ]
      .map((group) => Math.max(...group.map(({ confirmed: count }) => count)))
      .reduce((sum, count) => sum + count, 0);
  const falselyDelivered = Math.max(0, confirmed('pacs') - pacs.size) + Math.max(0, confirmed('disk') - disk.size);
  const falselyGone = deliveries.filter(({ state }) => state === 'source-gone').length;
  const { disturbances, lostData, isQuiet, isAlarmed, isGood } = evidence;
  const duplicatesAllowed = lostData ? Number.POSITIVE_INFINITY : disturbances * inFlight;
  const passes =
    missing + falselyDelivered + falselyGone === 0 && isQuiet && isAlarmed && isGood && duplicates <= duplicatesAllowed;
  return {
    seed: evidence.seed,
    instances: uploaded.size,
    disturbances,
    missing,
    falselyDelivered,
    falselyGone,
    duplicates,
    duplicatesAllowed,
    lostData,
    isQuiet,
    isAlarmed,
    isGood,
    passes,
    logs: passes && (duplicates <= inFlight || lostData) ? '' : `${evidence.rest}\n${evidence.logs()}`,
  };
}
