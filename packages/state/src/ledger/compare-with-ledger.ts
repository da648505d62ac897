import { instanceKey } from '@dicom-dispatch/core';
import { isVersion, versionHash } from './entry-codec.ts';
import type { InstanceVersion, LedgerEntry } from './ledger-types.ts';

export interface LedgerComparison<T> {
  /** Not confirmed in this version, and not quarantined in it: to be sent. */
  readonly pending: T[];
  readonly delivered: T[];
  /** Quarantined in this version. A changed copy is pending again. */
  readonly quarantined: T[];
}

/** Divides a manifest by the ledger's state of the current version of each instance; each part preserves the order. */
export function compareWithLedger<T extends InstanceVersion>(
  entries: ReadonlyMap<string, LedgerEntry>,
  instances: readonly T[],
): LedgerComparison<T> {
  const comparison: LedgerComparison<T> = { pending: [], delivered: [], quarantined: [] };
  for (const instance of instances) {
    comparison[entryOf(entries, instance)?.state ?? 'pending'].push(instance);
  }
  return comparison;
}

/**
 * The entry for the current version of an instance. It may be stored under the SOP Instance UID alone although several
 * series have this UID now, or under both although only one still has it: the newer one counts.
 */
export function entryOf(entries: ReadonlyMap<string, LedgerEntry>, instance: InstanceVersion): LedgerEntry | undefined {
  const { seriesInstanceUid, sharesSopInstanceUid, version } = instance;
  const alone = entries.get(instance.sopInstanceUid);
  const shared =
    seriesInstanceUid === undefined ? undefined : entries.get(instanceKey({ ...instance, sharesSopInstanceUid: true }));
  const newest = alone && (!shared || alone.at > shared.at) ? alone : shared;
  if (!newest || isVersion(newest.versionHash, instance)) return newest;
  // Older entries have a hash of the version alone, and apply to the instance of any series.
  const isOld = newest === alone && sharesSopInstanceUid !== true && newest.versionHash === versionHash(version);
  return isOld ? newest : undefined;
}
