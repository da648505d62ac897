import type { Config } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { Priors } from '@dicom-dispatch/state/priors';
import type { ReplayedPriors } from '../replay-priors.ts';
import { replayRules, type ReplayedStudy } from '../replay-rules.ts';

/** What other rules would have done with studies that were routed. */
export interface DraftPreview {
  /** Checked studies, newest first; `isWhole` if these are all. */
  readonly studies: number;
  readonly isWhole: boolean;
  readonly same: number;
  readonly differs: number;
  /** Studies that are no longer in their source, or cannot be read now. */
  readonly unknown: number;
  /** Number of studies that would also be sent to a target, and that would no longer be sent to it. */
  readonly byTarget: readonly { readonly target: string; readonly added: number; readonly removed: number }[];
  /** Earlier studies of the patients that would be sent along, by target, compared with those that were chosen then. */
  readonly priors: readonly PreviewedPriors[];
  /** Number of studies whose priors were not searched, since it would have taken too long. */
  readonly priorsUnknown: number;
  /** What the search of priors reported, with the number of studies. */
  readonly priorsNotes: readonly { readonly note: string; readonly studies: number }[];
  /** Studies that would be sent to other targets, or with other priors; at most 50. */
  readonly examples: readonly ReplayedStudy[];
}

export interface PreviewedPriors {
  readonly target: string;
  /** Number of studies with which at least one prior would be sent, and number of these priors. */
  readonly studies: number;
  readonly priors: number;
  readonly added: number;
  readonly removed: number;
}

const maxStudies = 1000;
const maxExamples = 50;
const maxMs = 20_000;
const maxNotes = 5;
/** An archive is queried once for each of these studies. */
const maxPriors = { studies: 100, withinMs: 8_000 };

/**
 * Applies other rules to the studies that were routed since a time, and counts the differences. Nothing is sent or written.
 *
 * @param client - opens a source
 * @param since - ms since 1970
 */
export async function previewDraft(
  context: PipelineContext,
  next: Config,
  client: Parameters<typeof replayRules>[1],
  since: number,
): Promise<DraftPreview> {
  const until = Date.now() + maxMs;
  const targets = new Map<string, { added: number; removed: number }>();
  const priors = new Map<string, Omit<PreviewedPriors, 'target'>>();
  const notes = new Map<string, number>();
  const examples: ReplayedStudy[] = [];
  const counts = { studies: 0, same: 0, differs: 0, unknown: 0, priorsUnknown: 0 };
  let isWhole = true;
  const recorded = new Priors(context.redis, context.config().redis.prefix);
  const options = { since, priors: { recorded, ...maxPriors } };
  for await (const study of replayRules({ ...context, config: () => next }, client, options)) {
    counts.studies += 1;
    if (study.outcome === 'same') counts.same += 1;
    else if (study.outcome === 'differs') {
      counts.differs += 1;
      for (const name of study.added) tally(name).added += 1;
      for (const name of study.removed) tally(name).removed += 1;
    } else counts.unknown += 1;
    const isJudged = study.outcome === 'same' || study.outcome === 'differs';
    if (isJudged && !study.priors) counts.priorsUnknown += 1;
    for (const one of study.priors ?? []) tallyPriors(one);
    const differs =
      study.outcome === 'differs' || study.priors?.some(({ added, removed }) => added.length + removed.length > 0);
    if (differs === true && examples.length < maxExamples) examples.push(study);
    if (counts.studies >= maxStudies || Date.now() > until) {
      isWhole = false;
      break;
    }
  }
  return {
    ...counts,
    isWhole,
    byTarget: sorted(targets),
    priors: sorted(priors),
    priorsNotes: [...notes].slice(0, maxNotes).map(([note, studies]) => ({ note, studies })),
    examples,
  };

  function tally(name: string): { added: number; removed: number } {
    const count = targets.get(name) ?? { added: 0, removed: 0 };
    targets.set(name, count);
    return count;
  }

  function tallyPriors({ target, chosen, added, removed, note }: ReplayedPriors): void {
    const before = priors.get(target) ?? { studies: 0, priors: 0, added: 0, removed: 0 };
    priors.set(target, {
      studies: before.studies + (chosen.length > 0 ? 1 : 0),
      priors: before.priors + chosen.length,
      added: before.added + added.length,
      removed: before.removed + removed.length,
    });
    if (note !== undefined) notes.set(note, (notes.get(note) ?? 0) + 1);
  }
}

function sorted<T>(counts: ReadonlyMap<string, T>): (T & { readonly target: string })[] {
  return [...counts].map(([target, count]) => ({ target, ...count })).sort((a, b) => (a.target < b.target ? -1 : 1));
}
