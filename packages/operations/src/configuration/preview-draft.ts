import type { Config } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { replayRules, type ReplayedStudy } from '../replay-rules.ts';

/** What other rules would have done with studies that were routed. */
export interface DraftPreview {
  /** Checked studies, newest first; `isWhole` if these are all. */
  readonly studies: number;
  readonly isWhole: boolean;
  readonly same: number;
  readonly differs: number;
  /** No longer in their source, or not to be read now. */
  readonly unknown: number;
  /** How many studies would go to a target that did not get them, and how many would not. */
  readonly byTarget: readonly { readonly target: string; readonly added: number; readonly removed: number }[];
  readonly examples: readonly ReplayedStudy[];
}

const maxStudies = 1000;
const maxExamples = 50;
const maxMs = 20_000;

/**
 * Goes through the studies that were routed since a time and counts what other rules would have done with them. Nothing is
 * sent or written.
 *
 * @param client - opens a source
 */
export async function previewDraft(
  context: PipelineContext,
  next: Config,
  client: Parameters<typeof replayRules>[1],
  since: number,
): Promise<DraftPreview> {
  const until = Date.now() + maxMs;
  const targets = new Map<string, { added: number; removed: number }>();
  const examples: ReplayedStudy[] = [];
  const counts = { studies: 0, same: 0, differs: 0, unknown: 0 };
  let isWhole = true;
  for await (const study of replayRules({ ...context, config: () => next }, client, { since })) {
    counts.studies += 1;
    if (study.outcome === 'same') counts.same += 1;
    else if (study.outcome === 'differs') {
      counts.differs += 1;
      if (examples.length < maxExamples) examples.push(study);
      for (const name of study.added) tally(name).added += 1;
      for (const name of study.removed) tally(name).removed += 1;
    } else counts.unknown += 1;
    if (counts.studies >= maxStudies || Date.now() > until) {
      isWhole = false;
      break;
    }
  }
  const byTarget = [...targets]
    .map(([target, count]) => ({ target, ...count }))
    .sort((a, b) => (a.target < b.target ? -1 : 1));
  return { ...counts, isWhole, byTarget, examples };

  function tally(name: string): { added: number; removed: number } {
    const count = targets.get(name) ?? { added: 0, removed: 0 };
    targets.set(name, count);
    return count;
  }
}
