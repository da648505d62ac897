import { countErrors, readTarget, readTargets, readThroughput, type TargetState } from '@dicom-dispatch/operations';
import type { ViewContext } from './view-context.ts';
import type { Target, TargetDetail } from './schemas.ts';

export async function listTargets(context: ViewContext): Promise<Target[]> {
  return (await readTargets(context.operations)).map(toTarget);
}

/** @throws OperationError `not-found` */
export async function showTarget(context: ViewContext, name: string): Promise<TargetDetail> {
  const { operations } = context;
  const state = await readTarget(operations, name);
  const [errors, hour, day] = await Promise.all([
    countErrors(operations, name),
    readThroughput(operations, name, 60, 1),
    readThroughput(operations, name, 24 * 60, 15),
  ]);
  return { ...toTarget(state), errors, hour, day };
}

function toTarget(state: TargetState): Target {
  return { ...state, circuit: { ...state.circuit }, counts: { ...state.counts } };
}
