export { compareWithLedger, entryOf, type LedgerComparison } from './compare-with-ledger.ts';
export { versionHash } from './entry-codec.ts';
export { createLedger, type Ledger, type LedgerOptions } from './ledger.ts';
export { createStudyLocks, type StudyLocks, type StudyLockAnswer } from './study-locks.ts';
export type {
  Confirmation,
  Fence,
  InstanceName,
  InstanceVersion,
  LedgerEntry,
  LedgerKey,
  LedgerNote,
  LedgerSummary,
  Quarantine,
  ReadConfirmation,
} from './ledger-types.ts';
