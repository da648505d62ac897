import {
  countErrors,
  readDurations,
  readPace,
  readTarget,
  readTargets,
  readThroughput,
  type TargetState,
} from '@dicom-dispatch/operations';
import type { ViewContext } from './view-context.ts';
import type { Target, TargetDetail } from './schemas.ts';

export async function listTargets(context: ViewContext): Promise<Target[]> {
  return Promise.all((await readTargets(context.operations)).map((state) => toTarget(context, state)));
}

/** @throws OperationError `not-found` */
export async function showTarget(context: ViewContext, name: string): Promise<TargetDetail> {
  const { operations } = context;
  const state = await readTarget(operations, name);
  const [target, errors, hour, day, week, { parts, ...durations }] = await Promise.all([
    toTarget(context, state),
    countErrors(operations, name),
    readThroughput(operations, name, 60, 1),
    readThroughput(operations, name, 24 * 60, 15),
    readThroughput(operations, name, 7 * 24 * 60, 60),
    readDurations(operations, name),
  ]);
  return { ...target, errors, hour, day, week, durations: { ...durations, parts: [...parts] } };
}

async function toTarget({ operations }: ViewContext, state: TargetState): Promise<Target> {
  const [pace, { slower }] = await Promise.all([
    readPace(operations, state.name, state.counts),
    readDurations(operations, state.name),
  ]);
  return {
    ...state,
    circuit: { ...state.circuit },
    counts: { ...state.counts },
    pace: { ...pace, isSlow: slower !== undefined },
  };
}
