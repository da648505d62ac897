import { asDispatchError } from '@dicom-dispatch/core';
import type { RetrieveProgress } from '@dicom-dispatch/target-kit';
import type { PipelineContext } from '../context.ts';
import { OperationError } from '../operation-error.ts';
import { openPuller } from './open-puller.ts';
import type { PullDestination } from './pull-destination.ts';

export interface StudyToPull {
  readonly target: string;
  readonly studyInstanceUid: string;
  /** Default all. */
  readonly seriesInstanceUids?: readonly string[] | undefined;
  readonly destination: PullDestination;
  progress?(progress: RetrieveProgress): void;
  readonly signal: AbortSignal;
}

/**
 * Retrieves a study from a target, without instances that the destination already has. If it is cancelled or fails, the next
 * call continues where it stopped.
 *
 * @returns the last progress; `failed` counts instances that the target did not return, `problems` lists the first of them
 * @throws OperationError `not-found` if the target does not have the study, or if received instances cannot be stored;
 *   DispatchError
 */
export async function pullStudy(
  context: Pick<PipelineContext, 'config'>,
  { target, studyInstanceUid, seriesInstanceUids, destination, progress, signal }: StudyToPull,
): Promise<RetrieveProgress> {
  const { puller, ...checked } = await openPuller(context, target);
  try {
    const result = await puller.retrieve(
      {
        studyInstanceUid,
        ...(seriesInstanceUids && { seriesInstanceUids }),
        has: (uid, series) => destination.has(uid, series),
        canKeep: (uid) => destination.canKeep?.(uid) ?? true,
        store: (uid, instance, series) => destination.store(uid, instance, series),
        progress: (now) => progress?.(now),
      },
      { ...checked, signal },
    );
    if (result.completed + result.failed > 0) return result;
    throw new OperationError('not-found', `${target} has none of the requested instances of study ${studyInstanceUid}`);
  } catch (thrown) {
    if (thrown instanceof OperationError) throw thrown;
    const error = asDispatchError(thrown);
    throw error.cause instanceof OperationError ? error.cause : error;
  }
}
