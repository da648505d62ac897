import { DispatchError } from '@dicom-dispatch/core';
import type { ManifestInstance } from '@dicom-dispatch/target-kit';
import { leavesOpen, statusError } from '../http/index.ts';
import { reasonMeaning, warningText } from './failure-reason.ts';
import type { StowContent, StowOutcomes } from './read-outcomes.ts';

/** The response to one STOW-RS request. */
export interface StowAnswer {
  readonly status: number;
  readonly content: StowContent;
  readonly retryAfterMs: number | undefined;
}

/**
 * Why a response does not show the result of an instance.
 *
 * - `silent`: it has no body
 * - `claimed`: it lists the instance, but does not confirm it: as already stored, with two results, or with an invalid status or warning
 * - `unmentioned`: it only lists others
 */
export type Unknown = 'silent' | 'claimed' | 'unmentioned';

export type Judgement =
  | { readonly kind: 'delivered'; readonly warning?: string; readonly answer?: string }
  | { readonly kind: 'quarantined'; readonly error: DispatchError }
  /** Rejected alone, without a reason: it is quarantined if others are accepted. */
  | { readonly kind: 'refused'; readonly error: DispatchError }
  /** Not stored now; the others are sent, then the attempt fails. */
  | { readonly kind: 'later'; readonly error: DispatchError }
  /** The response does not show it: a search decides. */
  | { readonly kind: 'unknown'; readonly why: Unknown; readonly warning?: string }
  /** Send it again in a smaller request, to find the rejected instance. */
  | { readonly kind: 'again' };

export type Verdict =
  | {
      readonly kind: 'judged';
      readonly instances: ReadonlyMap<ManifestInstance, Judgement>;
      /** The request was too large: later ones must be smaller. */
      readonly tooLarge: boolean;
    }
  /** A gateway or the service failed during the request: all, some or none may be stored. */
  | { readonly kind: 'unanswered'; readonly error: DispatchError }
  /** A success status without a response that the Standard defines: a page, other JSON. */
  | { readonly kind: 'foreign'; readonly what: string; readonly status: number };

/** Statuses that reject the content, perhaps only that of some instances. */
const refusals: ReadonlySet<number> = new Set([400, 409, 422]);

/**
 * Result of each instance of a request. Only a Store Instances Response (PS3.18 section 10.5.3) with
 * status 200 or 202 confirms.
 *
 * @throws {DispatchError} if the response ends the attempt
 */
export function judgeBatch(batch: readonly ManifestInstance[], answer: StowAnswer): Verdict {
  const { status, content, retryAfterMs } = answer;
  if (status === 413) return { kind: 'judged', instances: all(batch, tooLarge(batch)), tooLarge: true };
  const isSuccess = status >= 200 && status < 300;
  if (!isSuccess && !refusals.has(status)) {
    const error = statusError(status, { what: 'an upload', retryAfterMs });
    if (leavesOpen(status)) return { kind: 'unanswered', error };
    throw error;
  }
  if (isSuccess && content.kind === 'foreign') return { kind: 'foreign', what: content.what, status };
  const outcomes = content.kind === 'response' ? content.outcomes : undefined;
  const facts = { outcomes, status, isAlone: batch.length === 1, isSuccess };
  const instances = new Map(batch.map((instance) => [instance, judge(instance, facts)]));
  return { kind: 'judged', instances, tooLarge: false };
}

interface Facts {
  readonly outcomes: StowOutcomes | undefined;
  readonly status: number;
  readonly isAlone: boolean;
  readonly isSuccess: boolean;
}

function judge(instance: ManifestInstance, { outcomes, status, isAlone, isSuccess }: Facts): Judgement {
  const uid = instance.sopInstanceUid;
  const stored = outcomes?.stored.get(uid);
  if (outcomes?.failed.has(uid)) {
    return stored ? { kind: 'unknown', why: 'claimed' } : ofReason(outcomes.failed.get(uid));
  }
  if (stored && isClassOf(instance, stored.sopClassUid)) {
    if (status !== 200 && status !== 202) return { kind: 'unknown', why: 'claimed' };
    const { warning } = stored;
    if (warning === undefined) return { kind: 'delivered', answer: `HTTP ${status}, in the Referenced SOP Sequence` };
    // Reasons of warnings are B000 to BFFF (PS3.18 section I.2.1): anything else is a failure in the wrong place.
    const isWarning = warning >> 12 === 0xb;
    return isWarning
      ? { kind: 'delivered', warning: warningText(warning) }
      : { kind: 'unknown', why: 'claimed', warning: warningText(warning) };
  }
  // A failure without a UID belongs to the instance if it is the only one in the request.
  const isNameless = (outcomes?.nameless.length ?? 0) > 0;
  if (isNameless) return isAlone ? ofReason(outcomes?.nameless[0]) : { kind: 'again' };
  if (isSuccess) return { kind: 'unknown', why: outcomes ? 'unmentioned' : 'silent' };
  return isAlone ? { kind: 'refused', error: refused(status) } : { kind: 'again' };
}

/** The SOP class may be unknown on either side. */
function isClassOf({ sopClassUid }: ManifestInstance, answered: string | undefined): boolean {
  return answered === undefined || sopClassUid === undefined || answered === sopClassUid;
}

function ofReason(reason: number | undefined): Judgement {
  const meaning = reasonMeaning(reason);
  switch (meaning.kind) {
    case 'verify':
      return { kind: 'unknown', why: 'claimed', warning: meaning.warning };
    case 'refused':
      return { kind: 'quarantined', error: meaning.error };
    case 'later':
      return { kind: 'later', error: meaning.error };
    case 'stop':
      throw meaning.error;
  }
}

function tooLarge(batch: readonly ManifestInstance[]): Judgement {
  if (batch.length > 1) return { kind: 'again' };
  const error = new DispatchError(
    'instance-too-large',
    'this instance exceeds the request size limit of the target (413)',
  );
  return { kind: 'quarantined', error };
}

function refused(status: number): DispatchError {
  return new DispatchError('instance-refused', `the target rejects this instance (HTTP ${status}) without a reason`);
}

function all(batch: readonly ManifestInstance[], judgement: Judgement): ReadonlyMap<ManifestInstance, Judgement> {
  return new Map(batch.map((instance) => [instance, judgement]));
}
