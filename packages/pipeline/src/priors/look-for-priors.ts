import {
  choosePriors,
  priorsFromSource,
  type Config,
  type PatientIdentity,
  type PriorCandidate,
  type PriorTerms,
} from '@dicom-dispatch/core';
import { readStudyOfPatient, type OrthancClient } from '@dicom-dispatch/sources';
import type { LookedAtPrior } from '@dicom-dispatch/state/priors';
import { OperationError } from '../operation-error.ts';
import { candidatesAtSource } from './find-at-source.ts';
import { candidatesAtTarget } from './find-at-target.ts';

export interface PriorsSearch {
  readonly config: Config;
  readonly orthanc: OrthancClient;
  readonly signal: AbortSignal;
  readonly now: Date;
  /** A target that does not respond is skipped, and named in `notes`. */
  readonly withoutSilent: boolean;
}

export interface StudyWithTerms {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly terms: readonly PriorTerms[];
  /** Studies that proved not to fit. */
  readonly unfit?: readonly LookedAtPrior[] | undefined;
}

export interface FoundPriors {
  readonly identity: PatientIdentity;
  readonly chosen: readonly LookedAtPrior[];
  /** All studies that were checked and not chosen. */
  readonly left: readonly LookedAtPrior[];
  readonly notes: readonly string[];
}

/**
 * Chooses the priors of a study among the studies of its source and those that targets list. Writes nothing. Targets that do
 * not support such queries are skipped, and named in `notes`.
 *
 * @throws DispatchError if the source or a target does not respond
 */
export async function lookForPriors(search: PriorsSearch, wanted: StudyWithTerms): Promise<FoundPriors> {
  const { orthanc, signal, now } = search;
  const { study, identity } = await readStudyOfPatient(orthanc, wanted.source, wanted.orthancStudyId, signal);
  if (identity.patientId === '') {
    const notes = ['the study has no Patient ID: earlier studies cannot be searched'];
    return { identity, chosen: [], left: [], notes };
  }
  const atSource = await candidatesAtSource(orthanc, wanted, signal);
  const { found, unasked } = await atTargets(search, wanted.terms, identity);
  const here = new Set(atSource.map(({ studyInstanceUid }) => studyInstanceUid));
  const unfit = (wanted.unfit ?? []).filter(({ studyInstanceUid }) => !here.has(studyInstanceUid));
  for (const { studyInstanceUid } of unfit) here.add(studyInstanceUid);
  const candidates = [...atSource, ...found.filter(({ studyInstanceUid }) => !here.has(studyInstanceUid))];
  const { studyInstanceUid, facts } = study;
  const { chosen, left } = choosePriors({ studyInstanceUid, identity, facts, now }, candidates, wanted.terms);
  const none = candidates.length + unfit.length === 0;
  return {
    identity,
    chosen: chosen.map(asLooked),
    left: [...unfit, ...left.map(asLooked)],
    notes: none ? [...unasked, 'the patient has no other study there'] : unasked,
  };
}

async function atTargets(
  { config, signal, withoutSilent }: PriorsSearch,
  terms: readonly PriorTerms[],
  { patientId }: PatientIdentity,
): Promise<{ readonly found: readonly PriorCandidate[]; readonly unasked: readonly string[] }> {
  const found = new Map<string, PriorCandidate>();
  const unasked: string[] = [];
  for (const from of new Set(terms.map((one) => one.from))) {
    if (from === priorsFromSource) continue;
    try {
      const listed = await candidatesAtTarget({ config }, from, patientId, signal);
      for (const one of listed) {
        const known = found.get(one.studyInstanceUid);
        found.set(one.studyInstanceUid, known ? { ...known, alsoFrom: [...(known.alsoFrom ?? []), from] } : one);
      }
    } catch (error) {
      if (signal.aborted || !(error instanceof Error)) throw error;
      if (!(error instanceof OperationError) && !withoutSilent) throw error;
      unasked.push(`${from} was not queried (${error.message})`);
    }
  }
  return { found: [...found.values()], unasked };
}

function asLooked({ candidate, why }: { readonly candidate: PriorCandidate; readonly why: string }): LookedAtPrior {
  const { studyInstanceUid, from } = candidate;
  const orthancStudyId = 'orthancStudyId' in candidate ? String(candidate.orthancStudyId) : undefined;
  return { studyInstanceUid, from, why, ...(orthancStudyId !== undefined && { orthancStudyId }) };
}
