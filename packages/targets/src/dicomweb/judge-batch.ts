import { DispatchError } from '@dicom-dispatch/core';
import type { ManifestInstance } from '../contract/index.ts';
import { statusError } from '../http/index.ts';
import { reasonMeaning, warningText } from './failure-reason.ts';
import type { StowOutcomes } from './read-outcomes.ts';

/** An answer to one STOW-RS request. */
export interface StowAnswer {
  readonly status: number;
  readonly outcomes: StowOutcomes | undefined;
  readonly retryAfterMs: number | undefined;
}

/**
 * Why an answer does not tell what became of an instance.
 *
 * - `stored-by-status`: no body, but the status says that all was stored (200)
 * - `silent`: no body
 * - `claimed`: the target says that it had it before
 * - `unmentioned`: the body speaks of others only
 */
export type Unknown = 'stored-by-status' | 'silent' | 'claimed' | 'unmentioned';

export type Judgement =
  | { readonly kind: 'delivered'; readonly warning?: string }
  | { readonly kind: 'quarantined'; readonly error: DispatchError }
  /** Refused alone, without a reason: it is quarantined if others are taken. */
  | { readonly kind: 'refused'; readonly error: DispatchError }
  /** Not stored now; the rest goes on, then the attempt fails. */
  | { readonly kind: 'later'; readonly error: DispatchError }
  /** The answer does not tell: a search decides. */
  | { readonly kind: 'unknown'; readonly why: Unknown }
  /** Send it again in a smaller request, to find out whose fault it is. */
  | { readonly kind: 'again' };

export interface Verdict {
  readonly instances: ReadonlyMap<ManifestInstance, Judgement>;
  /** The request was too large: later ones have to be smaller. */
  readonly tooLarge: boolean;
}

/**
 * What the answer to a request says of each of its instances. From the second attempt on, a request at which the target
 * failed (500) is divided: one instance that breaks the target must not keep the others.
 *
 * @throws {DispatchError} when the answer ends the attempt
 */
export function judgeBatch(batch: readonly ManifestInstance[], answer: StowAnswer, attempt: number): Verdict {
  const { status, retryAfterMs } = answer;
  if (status === 413) return all(batch, tooLarge(batch), true);
  if (status === 500 && attempt > 1 && !answer.outcomes) return all(batch, failedAt(batch), false);
  const ok = status >= 200 && status < 300;
  if (!ok && status !== 400 && status !== 409 && status !== 422) {
    throw statusError(status, { what: 'an upload', retryAfterMs });
  }
  return {
    tooLarge: false,
    instances: new Map(batch.map((instance) => [instance, judge(instance, batch.length === 1, ok, answer)])),
  };
}

function judge(instance: ManifestInstance, alone: boolean, ok: boolean, { status, outcomes }: StowAnswer): Judgement {
  const uid = instance.sopInstanceUid;
  if (outcomes?.failed.has(uid)) return ofReason(outcomes.failed.get(uid));
  if (outcomes?.stored.has(uid)) {
    const warning = outcomes.stored.get(uid);
    return warning === undefined ? { kind: 'delivered' } : { kind: 'delivered', warning: warningText(warning) };
  }
  // A failure without a name is the instance's own when there is no other in the request.
  const nameless = (outcomes?.nameless.length ?? 0) > 0;
  if (nameless) return alone ? ofReason(outcomes?.nameless[0]) : { kind: 'again' };
  if (ok) return { kind: 'unknown', why: outcomes ? 'unmentioned' : status === 200 ? 'stored-by-status' : 'silent' };
  if (!alone) return { kind: 'again' };
  return { kind: status === 409 ? 'quarantined' : 'refused', error: refused(status) };
}

function ofReason(reason: number | undefined): Judgement {
  const meaning = reasonMeaning(reason);
  switch (meaning.kind) {
    case 'delivered':
      return meaning;
    case 'verify':
      return { kind: 'unknown', why: 'claimed' };
    case 'refused':
      return { kind: 'quarantined', error: meaning.error };
    case 'later':
      return meaning as Judgement;
    case 'stop':
      throw meaning.error;
  }
}

function tooLarge(batch: readonly ManifestInstance[]): Judgement {
  if (batch.length > 1) return { kind: 'again' };
  const error = new DispatchError(
    'instance-too-large',
    'the target takes no request of the size of this instance (413)',
  );
  return { kind: 'quarantined', error };
}

function failedAt(batch: readonly ManifestInstance[]): Judgement {
  if (batch.length > 1) return { kind: 'again' };
  return { kind: 'later', error: new DispatchError('instance-failed', 'the target failed (500) at this instance') };
}

function refused(status: number): DispatchError {
  return new DispatchError('instance-refused', `the target refuses this instance (HTTP ${status}) without a reason`);
}

function all(batch: readonly ManifestInstance[], judgement: Judgement, tooLarge: boolean): Verdict {
  return { tooLarge, instances: new Map(batch.map((instance) => [instance, judgement])) };
}
