import type { DeliveryData, ErrorRecord, Stage } from '@dicom-dispatch/core';
import type { SearchHashes } from './search-hash.ts';

/**
 * - `waiting`: queued, delayed by a back-off, or held
 * - `active`: an attempt is running
 * - `delivered`: the target has confirmed every instance of the manifest
 * - `partial`: all instances except the quarantined ones are confirmed
 * - `failed`: attempts are used up, or an error that no attempt can correct
 * - `source-gone`: the study left the source before it could be delivered
 * - `cancelled`: an operator stopped it, or the rules no longer send any instance of it (`not-wanted`)
 * - `moved`: another target of its group has taken it over
 * - `resolved`: it was not delivered, and an operator has resolved it with a reason, or a later delivery of the study has
 *   succeeded
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
  'resolved',
] as const;
export type DeliveryState = (typeof deliveryStates)[number];

/** States in which a delivery has ended. */
export const endStates: readonly DeliveryState[] = [
  'delivered',
  'partial',
  'failed',
  'source-gone',
  'cancelled',
  'moved',
  'resolved',
];

/** States of deliveries that did not succeed and need an operator: they can be resolved. */
export const unresolvedStates = ['failed', 'partial', 'source-gone'] as const satisfies readonly DeliveryState[];

/** Why an unsuccessful delivery needs no further action. */
export interface Resolution {
  readonly by: string;
  /** At most 200 characters; no patient data. */
  readonly reason: string;
  /** The state that a reopening restores. */
  readonly from: (typeof unresolvedStates)[number];
  /** The later delivery of the study that has succeeded. */
  readonly supersededBy?: string;
}

/**
 * The event that continues an open delivery.
 *
 * - `job`: its job in the queue of its target
 * - `attempt`: the running attempt; if its dispatcher crashes, the expiry of its lock
 * - `due`: the time `nextAttemptAt`: a pause after a failed attempt
 * - `circuit`: the circuit of its target, at `nextAttemptAt` at the latest
 * - `schedule`: the schedule of its target or rules, at `nextAttemptAt`
 * - `turn`: the end of another delivery of its study, at `nextAttemptAt` at the latest
 * - `arrival`: further instances of a study that is still being received, or the end of its reception, at
 *   `nextAttemptAt` at the latest
 * - `priors`: the arrival of the earlier studies that are sent first, at `nextAttemptAt` at the latest
 * - `person`: an operator who releases it, or changes the configuration
 */
export const wakeKinds = [
  'job',
  'attempt',
  'due',
  'circuit',
  'schedule',
  'turn',
  'arrival',
  'priors',
  'person',
] as const;
export type WakeKind = (typeof wakeKinds)[number];

/** A delivery as an operator sees it. No patient data. Times are ms since 1970. */
export interface DeliveryRecord extends DeliveryData {
  /**
   * Id of the delivery that this one replaces, until it has its job: it must not begin before the replaced one has
   * ended.
   */
  readonly replaces: string | undefined;
  readonly state: DeliveryState;
  readonly stage: Stage | undefined;
  /** Where the last failed attempt ended. */
  readonly failStage: Stage | undefined;
  /** Number of attempts, over all retries by operators. */
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
  /** When an operator or an audit last continued it. */
  readonly retriedAt: number | undefined;
  /** When it continues, by the clock of Redis. */
  readonly nextAttemptAt: number | undefined;
  readonly updatedAt: number;
  /** Undefined when it has ended, and in records of earlier versions. */
  readonly wake: WakeKind | undefined;
  /**
   * Consecutive attempts that reached the target and confirmed nothing; `attempts` of the target limits their number.
   */
  readonly failures: number;
  /** Consecutive attempts that ended before they reached the target, or for a local reason or one of the source. */
  readonly waits: number;
  /** Consecutive attempts that ended because their dispatcher crashed. */
  readonly losses: number;
  /** Start of its age: routed, or retried by an operator, plus the time during which it was held or outside its schedule. */
  readonly since: number;
  /** An operator allows it to run outside its schedule. */
  readonly anyway: boolean;
  /** Lock of the running attempt. */
  readonly lock: string | undefined;
  readonly token: string | undefined;
  /** Name of the ledger for the address of its last attempt; undefined before its first attempt. */
  readonly ledger: string | undefined;
  /** Address of the target at that time, as text. */
  readonly place: string | undefined;
  /** With state `resolved`. */
  readonly resolution: Resolution | undefined;
  /**
   * Remarks for operators, also on a successful delivery, e.g. that the target may show other content under its UIDs.
   */
  readonly notice: string | undefined;
  /**
   * Whether the target may have lost, or not stored, a confirmed instance: another instance has the same SOP Instance UID
   * there, or the target has reported it.
   */
  readonly mayBeLost: boolean;
}

/** A time this number of milliseconds from now, by the clock of Redis. */
export interface FromNow {
  readonly fromNowMs: number;
}

export function fromNow(fromNowMs = 0): FromNow {
  return { fromNowMs: Math.max(0, Math.ceil(fromNowMs)) };
}

/** Changes of a delivery's record; `null` removes a field. */
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
      | 'notice'
      | 'mayBeLost'
      | 'resolution'
      | 'priority'
      | 'wake'
      | 'failures'
      | 'waits'
      | 'losses'
      | 'anyway'
      | 'replaces'
      | 'lock'
      | 'token'
  ]?: DeliveryRecord[Key] | null;
} & {
  readonly [Key in 'startedAt' | 'endedAt' | 'nextAttemptAt' | 'retriedAt']?: number | FromNow | null;
} & {
  readonly addBytesSent?: number;
  /** Number of instances that have arrived: `total` until the study is complete, ignored afterwards. */
  readonly arrived?: number;
};

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
    | 'noticed'
    | 'operator'
    | 'moved'
    | 'resolved';
  readonly attempt?: number;
  readonly stage?: Stage;
  readonly code?: string;
  readonly text: string;
  readonly worker?: string;
}

/** The last routing of a study. No patient data: they are read from the source. */
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
  /** Targets of the rules that were excluded, with the reason, e.g. that the study would return to its origin. */
  readonly omitted?: readonly { readonly target: string; readonly why: string }[];
  readonly studyTaskId: string;
  readonly routedAt: number;
  /** Orthanc's LastUpdate of the study when it was routed, `YYYYMMDDTHHMMSS`, once all is queued; for the sweep. */
  readonly lastUpdate: string | undefined;
  /** A rule waits until the study is complete: the router checks it again. */
  readonly isIncomplete?: boolean;
  /** Content hash of instances that were pulled into the source as a prior, and are not routed by the rules. */
  readonly pulled?: string;
  /** Hashes for searches after it has left its source; undefined without `records.searchKey`. */
  readonly search?: SearchHashes | undefined;
}
