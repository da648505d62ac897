import { versionHash } from './entry-codec.ts';
import type { InstanceVersion, LedgerEntry } from './ledger-types.ts';

export interface LedgerComparison<T> {
  /** Not confirmed in this version, and not quarantined in it: to be sent. */
  readonly pending: T[];
  readonly delivered: T[];
  /** Quarantined in this version. A changed copy is pending again. */
  readonly quarantined: T[];
}

/** Divides a manifest by what the ledger knows of each instance's present version; each part keeps the order. */
export function compareWithLedger<T extends InstanceVersion>(
  entries: ReadonlyMap<string, LedgerEntry>,
  instances: readonly T[],
): LedgerComparison<T> {
  const comparison: LedgerComparison<T> = { pending: [], delivered: [], quarantined: [] };
  for (const instance of instances) {
    const entry = entries.get(instance.sopInstanceUid);
    const known = entry !== undefined && entry.versionHash === versionHash(instance.version);
    comparison[known ? entry.state : 'pending'].push(instance);
  }
  return comparison;
}
