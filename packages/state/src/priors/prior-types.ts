import type { PriorTerms } from '@dicom-dispatch/core';

/**
 * What becomes of an earlier study that was chosen.
 *
 * - `chosen`: it is still to be sent, or to be pulled first
 * - `sent`: it has a delivery to the target
 * - `there`: the target had it before
 * - `omitted`: it is not sent after all; `note` says why
 */
export type PriorState = 'chosen' | 'sent' | 'there' | 'omitted';

/** An earlier study that was looked at. No patient data: what it is about is asked of the source. */
export interface LookedAtPrior {
  readonly studyInstanceUid: string;
  /** `source`, or the target that has it. */
  readonly from: string;
  /** Orthanc's id, where the source has it. */
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
 * The priors that go along with one study to one target, and how far that is. Times are ms since 1970, by Redis TIME.
 *
 * - `looking`: they are still to be chosen
 * - `sending`: they are chosen, and not all of them are sent; or the study waits for their arrival
 * - `done`: nothing more is to be done
 */
export interface PriorsStep extends PriorsKey {
  readonly studyInstanceUid: string;
  readonly target: string;
  /** The delivery with which they go. */
  readonly deliveryId: string;
  readonly terms: readonly PriorTerms[];
  readonly state: 'looking' | 'sending' | 'done';
  readonly openedAt: number;
  /** Until when the study waits for them; undefined when it does not. */
  readonly waitUntil?: number | undefined;
  /** They had not all arrived by then, and the study has gone without waiting further. */
  readonly isLate?: boolean;
  /** Attempts that did not succeed since the last one that did. */
  readonly attempts: number;
  readonly nextAttemptAt?: number | undefined;
  /** One sentence on why there are none, or what fails now. */
  readonly note?: string | undefined;
  readonly chosen: readonly ChosenPrior[];
  /** Studies of a target that were chosen and pulled, and turned out to be none of the patient, or not to be had. */
  readonly unfit?: readonly LookedAtPrior[];
  /** The first of those that were not chosen. */
  readonly left: readonly LookedAtPrior[];
  readonly leftCount: number;
}
