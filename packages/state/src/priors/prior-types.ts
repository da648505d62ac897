import type { PriorTerms } from '@dicom-dispatch/core';

/**
 * State of a chosen prior.
 *
 * - `chosen`: to be sent, or to be pulled first
 * - `sent`: it has a delivery to the target
 * - `there`: the target already had it
 * - `omitted`: not sent; the reason is in `note`
 */
export type PriorState = 'chosen' | 'sent' | 'there' | 'omitted';

/** An earlier study that was checked. No patient data: they are read from the source. */
export interface LookedAtPrior {
  readonly studyInstanceUid: string;
  /** `source`, or the target that has it. */
  readonly from: string;
  /** Orthanc id, if the source has it. */
  readonly orthancStudyId?: string | undefined;
  /** Why it was chosen, or why not. */
  readonly why: string;
}

export interface ChosenPrior extends LookedAtPrior {
  readonly state: PriorState;
  /** Its delivery to the target. */
  readonly deliveryId?: string | undefined;
  readonly note?: string | undefined;
}

/** Which study and target the priors are for. */
export interface PriorsKey {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly id: string;
}

/**
 * The priors of one study for one target, and their progress. Times are ms since 1970, by Redis TIME.
 *
 * - `looking`: to be chosen
 * - `sending`: chosen, and not all are sent; or the study waits for their arrival
 * - `done`: complete
 */
export interface PriorsStep extends PriorsKey {
  readonly studyInstanceUid: string;
  readonly target: string;
  /** The delivery with which they are sent. */
  readonly deliveryId: string;
  readonly terms: readonly PriorTerms[];
  readonly state: 'looking' | 'sending' | 'done';
  readonly openedAt: number;
  /** Until when the study waits for them; undefined when it does not. */
  readonly waitUntil?: number | undefined;
  /** They had not all arrived in time, and the study was sent without further waiting. */
  readonly isLate?: boolean;
  /** Attempts that did not succeed since the last one that did. */
  readonly attempts: number;
  readonly nextAttemptAt?: number | undefined;
  /** One sentence: why there are none, or the current failure. */
  readonly note?: string | undefined;
  readonly chosen: readonly ChosenPrior[];
  /** Studies of a target that were chosen and pulled, but belong to another patient, or could not be retrieved. */
  readonly unfit?: readonly LookedAtPrior[];
  /** The first of those that were not chosen. */
  readonly left: readonly LookedAtPrior[];
  readonly leftCount: number;
}
