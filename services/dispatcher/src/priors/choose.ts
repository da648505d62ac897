import {
  choosePriors,
  priorsFromSource,
  type DeliveryData,
  type PatientIdentity,
  type PriorCandidate,
} from '@dicom-dispatch/core';
import { OperationError, type SendPriorContext } from '@dicom-dispatch/pipeline';
import { readStudyOfPatient, type OrthancClient } from '@dicom-dispatch/sources';
import type { ChosenPrior, LookedAtPrior, PriorsStep } from '@dicom-dispatch/state/priors';
import { candidatesAtSource } from './find-at-source.ts';
import { candidatesAtTarget, orthancIdOf } from './find-at-target.ts';

/** So many of those that were not chosen are kept. */
const maxNotChosen = 50;

export interface ChooseDependencies extends SendPriorContext {
  readonly orthanc: OrthancClient;
  readonly signal: AbortSignal;
  readonly now: Date;
  /** Targets that do not answer have been waited for long enough: what the source has is all there is. */
  readonly isLastTry: boolean;
}

/**
 * Chooses the priors of a step among what the source has and what targets list. A target that cannot be asked at all is left out.
 *
 * @param along - the delivery with which they go
 * @throws DispatchError where the source or a target does not answer
 */
export async function choose(
  dependencies: ChooseDependencies,
  step: PriorsStep,
  along: DeliveryData,
): Promise<PriorsStep> {
  const { orthanc, signal, now } = dependencies;
  const { note: _, nextAttemptAt: __, ...rest } = step;
  const looked = { ...rest, attempts: 0, state: 'sending' } as const;
  const { study, identity } = await readStudyOfPatient(orthanc, step.source, step.orthancStudyId, signal);
  if (identity.patientId === '') {
    return { ...looked, note: 'the study has no Patient ID: earlier studies cannot be searched' };
  }
  const atSource = await candidatesAtSource(orthanc, step, signal);
  const { found, unasked } = await atTargets(dependencies, step, identity);
  const here = new Set(atSource.map(({ studyInstanceUid }) => studyInstanceUid));
  const unfit = (step.unfit ?? []).filter(({ studyInstanceUid }) => !here.has(studyInstanceUid));
  for (const { studyInstanceUid } of unfit) here.add(studyInstanceUid);
  const candidates = [...atSource, ...found.filter(({ studyInstanceUid }) => !here.has(studyInstanceUid))];
  const { studyInstanceUid, facts } = study;
  const { chosen, left } = choosePriors({ studyInstanceUid, identity, facts, now }, candidates, step.terms);
  const notes = candidates.length + unfit.length === 0 ? [...unasked, 'the patient has no other study there'] : unasked;
  return {
    ...looked,
    chosen: await Promise.all(chosen.map((one) => asChosen(dependencies, asLooked(one), along, identity))),
    left: [...unfit, ...left.map(asLooked)].slice(0, maxNotChosen),
    leftCount: unfit.length + left.length,
    ...(notes.length > 0 && { note: notes.join('; ') }),
  };
}

async function atTargets(
  dependencies: ChooseDependencies,
  { terms }: PriorsStep,
  { patientId }: PatientIdentity,
): Promise<{ readonly found: readonly PriorCandidate[]; readonly unasked: readonly string[] }> {
  const found = new Map<string, PriorCandidate>();
  const unasked: string[] = [];
  for (const from of new Set(terms.map((one) => one.from))) {
    if (from === priorsFromSource) continue;
    try {
      const listed = await candidatesAtTarget(dependencies, from, patientId, dependencies.signal);
      for (const one of listed) {
        const known = found.get(one.studyInstanceUid);
        found.set(one.studyInstanceUid, known ? { ...known, alsoFrom: [...(known.alsoFrom ?? []), from] } : one);
      }
    } catch (error) {
      if (dependencies.signal.aborted || !(error instanceof Error)) throw error;
      if (!(error instanceof OperationError) && !dependencies.isLastTry) throw error;
      unasked.push(`${from} was not queried (${error.message})`);
    }
  }
  return { found: [...found.values()], unasked };
}

/** What the target has is not pulled: it was delivered there before, or is what it was found in. */
async function asChosen(
  { records }: SendPriorContext,
  prior: LookedAtPrior,
  { source, target, transform }: DeliveryData,
  { patientId }: PatientIdentity,
): Promise<ChosenPrior> {
  if (prior.from === priorsFromSource) return { ...prior, state: 'chosen' };
  if (prior.from === target && !transform) return { ...prior, state: 'there' };
  const orthancStudyId = orthancIdOf(patientId, prior.studyInstanceUid);
  const before = (await records.deliveriesOf({ source, orthancStudyId }, 50)).find(
    (one) => one.target === target && one.state === 'delivered' && one.transform?.name === transform?.name,
  );
  return before
    ? { ...prior, orthancStudyId, deliveryId: before.deliveryId, state: 'there' }
    : { ...prior, state: 'chosen' };
}

function asLooked({ candidate, why }: { readonly candidate: PriorCandidate; readonly why: string }): LookedAtPrior {
  const { studyInstanceUid, from } = candidate;
  const orthancStudyId = 'orthancStudyId' in candidate ? String(candidate.orthancStudyId) : undefined;
  return { studyInstanceUid, from, why, ...(orthancStudyId !== undefined && { orthancStudyId }) };
}
