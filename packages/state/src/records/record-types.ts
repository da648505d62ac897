import type { DeliveryData, ErrorRecord, Stage } from '@dicom-dispatch/core';
import type { SearchHashes } from './search-hash.ts';

/**
 * - `waiting`: queued, delayed by a back-off, or held back
 * - `active`: an attempt is under way
 * - `delivered`: the target has confirmed every instance of the manifest
 * - `partial`: all but the quarantined instances are confirmed
 * - `failed`: attempts are used up, or an error that no attempt corrects
 * - `source-gone`: the study left the source before it could be delivered
 * - `cancelled`: an operator stopped it, or the rules do not want it any more (`not-wanted`)
 * - `moved`: another target of its group has taken it over
 * - `resolved`: it did not arrive, and somebody has settled that with a reason, or a later delivery of the study has arrived
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

/** States that end a delivery until an operator retries it. */
export const endStates: readonly DeliveryState[] = [
  'delivered',
  'partial',
  'failed',
  'source-gone',
  'cancelled',
  'moved',
  'resolved',
];

/** States of deliveries that did not arrive and ask for somebody: they can be resolved. */
export const unresolvedStates = ['failed', 'partial', 'source-gone'] as const satisfies readonly DeliveryState[];

/** Why a delivery that did not arrive needs nobody any more. */
export interface Resolution {
  readonly by: string;
  /** At most 200 characters; no patient data. */
  readonly reason: string;
  /** The state that a reopening gives back. */
  readonly from: (typeof unresolvedStates)[number];
  /** The later delivery of the study that has arrived. */
  readonly supersededBy?: string;
}

/**
 * What makes an open delivery go on.
 *
 * - `job`: its job in the queue of its target
 * - `attempt`: the attempt that is under way; when its dispatcher dies, the end of its lock
 * - `due`: the time `nextAttemptAt`: a pause after a failed attempt
 * - `circuit`: the circuit of its target, at `nextAttemptAt` at the latest
 * - `schedule`: the schedule of its target or rules, at `nextAttemptAt`
 * - `turn`: the end of another delivery of its study, at `nextAttemptAt` at the latest
 * - `arrival`: further instances of a study that is still being received, or its end; it looks by itself at `nextAttemptAt`
 * - `priors`: the arrival of the earlier studies that go before it, at `nextAttemptAt` at the latest
 * - `person`: somebody who releases it, or changes the configuration
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
  /** When it goes on, by the clock of Redis. */
  readonly nextAttemptAt: number | undefined;
  readonly updatedAt: number;
  /** Undefined when it has ended, and in records of earlier versions. */
  readonly wake: WakeKind | undefined;
  /** Attempts in a row that reached the target and confirmed nothing: those that `attempts` of the target allows. */
  readonly failures: number;
  /** Attempts in a row that ended before they reached the target, or for reasons of ours or of the source. */
  readonly waits: number;
  /** Attempts in a row that ended with the death of their dispatcher. */
  readonly losses: number;
  /** Since when its age counts: routed, or retried by an operator, and later by as long as it was held or outside its schedule. */
  readonly since: number;
  /** An operator wants it to go outside its schedule too. */
  readonly anyway: boolean;
  /** Lock of the attempt under way. */
  readonly lock: string | undefined;
  readonly token: string | undefined;
  /** Name of the ledger of the place where it went last; undefined before its first attempt: that of the target. */
  readonly ledger: string | undefined;
  /** Where the target was then, in words. */
  readonly place: string | undefined;
  /** With state `resolved`. */
  readonly resolution: Resolution | undefined;
  /** What is to be known of it although it may have arrived: the target may show something else under its UIDs. */
  readonly notice: string | undefined;
  /** Whether the target may have lost, or not taken, what it confirmed: another instance has its SOP Instance UID there. */
  readonly mayBeLost: boolean;
}

/** So many milliseconds from now, by the clock of Redis. */
export interface FromNow {
  readonly fromNowMs: number;
}

export function fromNow(fromNowMs = 0): FromNow {
  return { fromNowMs: Math.max(0, Math.ceil(fromNowMs)) };
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
      | 'notice'
      | 'mayBeLost'
      | 'resolution'
      | 'priority'
      | 'wake'
      | 'failures'
      | 'waits'
      | 'losses'
      | 'anyway'
      | 'lock'
      | 'token'
  ]?: DeliveryRecord[Key] | null;
} & {
  readonly [Key in 'startedAt' | 'endedAt' | 'nextAttemptAt' | 'retriedAt']?: number | FromNow | null;
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
  /** A rule waits until the study is whole: it is among those at which the router looks again. */
  readonly isIncomplete?: boolean;
  /** Content hash of what was pulled into the source as a prior, and is not routed by the rules. */
  readonly pulled?: string;
  /** By which it is found when it has left its source; undefined without `records.searchKey`. */
  readonly search?: SearchHashes | undefined;
}
