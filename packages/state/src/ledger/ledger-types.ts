import type { ReceiptEntry } from '../receipts/receipt-types.ts';

/** The key of a ledger: one study of one source at one target. */
export interface LedgerKey {
  readonly source: string;
  /** Orthanc's id of the study. */
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  readonly target: string;
}

/**
 * The job lock under which a delivery writes: a write is executed only while the lock at `lockKey` has the value `token`.
 */
export interface Fence {
  readonly lockKey: string;
  readonly token: string;
}

/** A code with a text for operators. The text is cut at 300 characters and carries no patient data. */
export interface LedgerNote {
  /** An error code, or a status of the target such as `B000`: no spaces. */
  readonly code: string;
  readonly message: string;
}

export interface Recorded {
  /** `versionHash` of the series and the source's copy that this is about. */
  readonly versionHash: string;
  readonly attempt: number;
  /** When it was recorded, ms since 1970. */
  readonly at: number;
  /** The first 10 characters of the delivery's id. */
  readonly delivery: string;
}

/**
 * - `delivered`: the target has confirmed this version of the instance
 * - `quarantined`: this version is not sent again until an operator requests it
 */
export type LedgerEntry =
  | (Recorded & { readonly state: 'delivered'; readonly warning?: LedgerNote })
  | (Recorded & { readonly state: 'quarantined'; readonly error: LedgerNote });

/** A confirmation as it was read from the ledger. */
export interface ReadConfirmation extends Pick<Recorded, 'versionHash' | 'at'> {
  /** As `instanceKey` names the instance. */
  readonly name: string;
}

/** Identifies an instance within its study. */
export interface InstanceName {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid?: string;
  /** Whether the study has this SOP Instance UID in another series, too. */
  readonly sharesSopInstanceUid?: true;
}

export interface InstanceVersion extends InstanceName {
  /** The source's version of its copy; opaque. Only its hash is stored. */
  readonly version: string;
  /**
   * Distinguishes two copies of one version, since a version may be a time in seconds. In a confirmation it is a part
   * of the version. When ledger and manifest are compared, an entry with this copy, or without a copy, matches.
   */
  readonly fileUuid?: string | undefined;
}

interface Outcome extends InstanceVersion {
  readonly attempt: number;
  readonly deliveryId: string;
  /** ms since 1970; default now. */
  readonly at?: number;
}

export interface Confirmation extends Outcome {
  readonly warning?: LedgerNote;
  /** Details for the receipt; written in the same step. */
  readonly receipt?: ReceiptEntry;
}

export interface Quarantine extends Outcome {
  readonly error: LedgerNote;
}

export interface LedgerSummary {
  readonly delivered: number;
  readonly quarantined: number;
}
