import { formatAge } from '../config/duration.ts';
import { priorsFromSource, type PriorTerms } from '../config/priors-config.ts';
import { compilePriorCondition, type PriorFacts } from './compile-prior-condition.ts';
import { differentPatient, type PatientIdentity } from './patient-identity.ts';
import type { RuleFacts } from './rule-facts.ts';

/** A candidate prior. Patient data: keep it in memory. */
export interface PriorCandidate {
  readonly studyInstanceUid: string;
  /** `source`, or the target that has it. */
  readonly from: string;
  /** Further targets that have it. */
  readonly alsoFrom?: readonly string[];
  readonly identity: { readonly [Key in keyof PatientIdentity]: string | undefined };
  readonly study: RuleFacts['study'];
  readonly series: RuleFacts['series'];
}

export interface StudyWithPriors {
  readonly studyInstanceUid: string;
  readonly identity: PatientIdentity;
  readonly facts: Pick<RuleFacts, 'source' | 'study' | 'series'>;
  readonly now: Date;
}

/** Which candidates go along, and which do not. Reasons have no patient data. */
export interface ChosenPriors<C> {
  readonly chosen: readonly { readonly candidate: C; readonly why: string }[];
  readonly left: readonly { readonly candidate: C; readonly why: string }[];
}

/**
 * Selects, for each of several rules, the newest earlier studies of the same patient that meet its condition, and combines
 * them, newest first.
 *
 * @throws ExpressionError if a condition cannot be used
 */
export function choosePriors<C extends PriorCandidate>(
  study: StudyWithPriors,
  candidates: readonly C[],
  terms: readonly PriorTerms[],
): ChosenPriors<C> {
  const ordered = [...candidates].sort((one, other) => momentOf(other.study).localeCompare(momentOf(one.study)));
  const whys = new Map<C, string>();
  const against = new Map<C, string[]>();
  for (const one of terms) {
    const condition = one.when === undefined ? undefined : compilePriorCondition(one.when);
    let chosen = 0;
    for (const candidate of ordered) {
      const why = reasonAgainst(candidate);
      if (why === undefined) {
        chosen += 1;
        if (!whys.has(candidate)) whys.set(candidate, `rule ${one.rule}: ${wordsOf(one, chosen)}`);
      } else {
        against.set(candidate, [
          ...(against.get(candidate) ?? []),
          terms.length > 1 ? `rule ${one.rule}: ${why}` : why,
        ]);
      }

      function reasonAgainst({ from, alsoFrom = [] }: C): string | undefined {
        if (from !== priorsFromSource && ![from, ...alsoFrom].includes(one.from))
          return `it is not requested from ${from}`;
        const other = notEarlier(study, candidate) ?? differentPatient(study.identity, candidate.identity);
        if (other !== undefined) return other;
        if (one.maxAge !== undefined && ageMs(study, candidate) > one.maxAge) {
          return `it is more than ${formatAge(one.maxAge)} older than the study`;
        }
        const verdict = condition?.(factsOf(study, candidate));
        if (verdict && !verdict.matched) return verdict.because;
        return chosen === one.count ? `there are ${one.count} newer ones that match` : undefined;
      }
    }
  }
  return {
    chosen: ordered.flatMap((candidate) => {
      const why = whys.get(candidate);
      return why === undefined ? [] : [{ candidate, why }];
    }),
    left: ordered.flatMap((candidate) =>
      whys.has(candidate) ? [] : [{ candidate, why: (against.get(candidate) ?? []).join('; ') }],
    ),
  };
}

function wordsOf({ count, when, maxAge }: PriorTerms, position: number): string {
  const which = count === 1 ? 'the newest earlier study' : `number ${position} of the ${count} newest earlier studies`;
  const limits = [
    ...(when === undefined ? [] : [`\`${when}\``]),
    ...(maxAge === undefined ? [] : [`at most ${formatAge(maxAge)} older`]),
  ];
  return limits.length === 0 ? which : `${which}: ${limits.join(', ')}`;
}

function factsOf({ facts, now }: StudyWithPriors, { study, series }: PriorCandidate): PriorFacts {
  const { source } = facts;
  return { source, study: facts.study, series: facts.series, prior: study, priorSeries: series, now };
}

/** Why a candidate is no earlier study; undefined when it is one. */
function notEarlier(study: StudyWithPriors, candidate: PriorCandidate): string | undefined {
  if (candidate.studyInstanceUid === study.studyInstanceUid) return 'it is the study itself';
  const own = dayOf(study.facts.study) ?? asDay(study.now);
  const theirs = dayOf(candidate.study);
  if (theirs === undefined) return 'it has no Study Date, so its order is unknown';
  if (theirs < own) return undefined;
  if (theirs > own) return 'it is later than the study';
  const [ownTime, theirTime] = [timeOf(study.facts.study), timeOf(candidate.study)];
  if (ownTime === '' || theirTime === '') return 'it is of the same day, and one of the two has no Study Time';
  return theirTime < ownTime ? undefined : 'it is of the same day, and not earlier';
}

function ageMs(study: StudyWithPriors, candidate: PriorCandidate): number {
  return asMs(dayOf(study.facts.study) ?? asDay(study.now)) - asMs(dayOf(candidate.study) ?? '');
}

/** `YYYYMMDD`; DICOM's older form has dots. */
function dayOf(study: RuleFacts['study']): string | undefined {
  const day = String(study['StudyDate'] ?? '')
    .replaceAll('.', '')
    .trim();
  return /^\d{8}$/.test(day) ? day : undefined;
}

/** `HHMMSS` with fraction, or a part of it. */
function timeOf(study: RuleFacts['study']): string {
  return String(study['StudyTime'] ?? '')
    .replaceAll(':', '')
    .trim();
}

function momentOf(study: RuleFacts['study']): string {
  return `${dayOf(study) ?? ''} ${timeOf(study)}`;
}

function asDay(time: Date): string {
  return time.toISOString().slice(0, 10).replaceAll('-', '');
}

function asMs(day: string): number {
  return Date.parse(`${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6, 8)}`);
}
