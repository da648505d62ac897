import type { DeliveryData, ErrorRecord, Stage } from '@dicom-dispatch/core';

/**
 * - `waiting`: queued, delayed by a back-off, or held back
 * - `active`: an attempt is under way
 * - `delivered`: the target has confirmed every instance of the manifest
 * - `partial`: all but the quarantined instances are confirmed
 * - `failed`: attempts are used up, or an error that no attempt mends
 * - `source-gone`: the study left the source before it could be delivered
 * - `cancelled`: an operator stopped it
 * - `moved`: another target of its group has taken it over
 */
export const deliveryStates = [
  'waiting',
  'active',
  'delivered',
  'partial',
  'failed',
  'source-gone',
  'cancelled',
  'moved',
] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** States that end a delivery until an operator retries it. */
export const endStates: readonly DeliveryState[] = [
  'delivered',
  'partial',
  'failed',
  'source-gone',
  'cancelled',
  'moved',
];

/** A delivery as an operator sees it. No patient data. Times are ms since 1970. */
export interface DeliveryRecord extends DeliveryData {
  readonly state: DeliveryState;
  readonly stage: Stage | undefined;
  /** Where the last failed attempt ended. */
  readonly failStage: Stage | undefined;
  /** Attempts made, over all retries by operators. */
  readonly attempts: number;
  readonly total: number;
  readonly confirmed: number;
  readonly quarantined: number;
  /** Of all attempts. */
  readonly bytesSent: number;
  readonly error: ErrorRecord | undefined;
  readonly worker: string | undefined;
  readonly startedAt: number | undefined;
  readonly endedAt: number | undefined;
  readonly nextAttemptAt: number | undefined;
  readonly updatedAt: number;
  /** Name of the ledger of the place where it went last; undefined before its first attempt: that of the target. */
  readonly ledger: string | undefined;
  /** Where the target was then, in words. */
  readonly place: string | undefined;
}

/** What an attempt changes of a delivery's record; `null` removes a field. */
export type DeliveryPatch = {
  readonly [
    Key in
      | 'state'
      | 'stage'
      | 'failStage'
      | 'attempts'
      | 'total'
      | 'confirmed'
      | 'quarantined'
      | 'error'
      | 'worker'
      | 'ledger'
      | 'place'
      | 'startedAt'
      | 'endedAt'
      | 'nextAttemptAt'
  ]?: DeliveryRecord[Key] | null;
} & { readonly addBytesSent?: number };

/** Something that happened to a delivery, for its timeline. */
export interface DeliveryEvent {
  readonly at: number;
  readonly kind:
    | 'routed'
    | 'started'
    | 'stage'
    | 'failed'
    | 'retrying'
    | 'waiting'
    | 'quarantined'
    | 'ended'
    | 'operator'
    | 'moved';
  readonly attempt?: number;
  readonly stage?: Stage;
  readonly code?: string;
  readonly text: string;
  readonly worker?: string;
}

/** A study as it was routed last. No patient data: who it is about is asked of the source. */
export interface StudyRecord {
  readonly source: string;
  readonly epoch: string;
  readonly studyInstanceUid: string;
  readonly orthancStudyId: string;
  readonly contentHash: string;
  readonly instanceCount: number;
  readonly modalities: readonly string[];
  readonly rules: readonly string[];
  readonly targets: readonly string[];
  /** Targets that the rules name and that were left out, with the reason: it would go back where it came from … */
  readonly omitted?: readonly { readonly target: string; readonly why: string }[];
  readonly studyTaskId: string;
  readonly routedAt: number;
  /** Orthanc's LastUpdate of the study when it was routed, `YYYYMMDDTHHMMSS`, once all is queued; for the sweep. */
  readonly lastUpdate: string | undefined;
}
