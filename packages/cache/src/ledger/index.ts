export { compareWithLedger, type LedgerComparison } from './compare-with-ledger.ts';
export { versionHash } from './entry-codec.ts';
export { createLedger, type Ledger, type LedgerOptions } from './ledger.ts';
export type {
  Confirmation,
  Fence,
  InstanceVersion,
  LedgerEntry,
  LedgerKey,
  LedgerNote,
  LedgerSummary,
  Quarantine,
} from './ledger-types.ts';
