import type { DeliveryState, ErrorGroup } from '@dicom-dispatch/state/records';
import type { Stage } from '@dicom-dispatch/core';
import type { PipelineContext } from '@dicom-dispatch/pipeline';

export interface ErrorCount {
  readonly stage: string;
  readonly code: string;
  readonly count: number;
  /** Text of the latest of them. */
  readonly example: string;
}

/** States in which an error still needs attention. */
const open: ReadonlySet<DeliveryState> = new Set(['failed', 'partial', 'waiting']);

/** Why deliveries to a target fail or wait after a failure now, by stage and code, the most frequent first. */
export async function countErrors(context: PipelineContext, target: string): Promise<ErrorCount[]> {
  const groups = (await context.records.errors({ target })).filter(({ state }) => open.has(state));
  const kinds = Map.groupBy(groups, ({ stage, code }) => `${stage} ${code}`);
  const counted = await Promise.all(
    [...kinds.values()].map(async (list): Promise<ErrorCount[]> => {
      const [first] = list;
      if (!first) return [];
      const count = list.reduce((sum, group) => sum + group.count, 0);
      return [{ stage: first.stage, code: first.code, count, example: await latestText(context, first) }];
    }),
  );
  return counted.flat().sort((one, other) => other.count - one.count);
}

async function latestText(context: PipelineContext, { target, stage, code }: ErrorGroup): Promise<string> {
  const { records } = await context.records.deliveries({ target, stage: stage as Stage, code, limit: 1 });
  return records[0]?.error?.message ?? '';
}
