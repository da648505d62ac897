import { DispatchError } from '@dicom-dispatch/core';
import type { Attempt } from './delivery-job-run.ts';

/**
 * An error that requires a change of the configuration stops all deliveries of a target. If others have succeeded since this
 * delivery had the same error before, the target rejects only this study: the error is `study-refused`, and counts as an
 * attempt.
 *
 * @param error - of an attempt
 * @returns the error of the attempt
 */
export async function ofStudyAlone(attempt: Attempt, error: DispatchError): Promise<DispatchError> {
  const { tracker, log } = attempt;
  if (error.disposition !== 'halt' || !tracker.isReached || tracker.gained > 0) return error;
  try {
    if (!(await doOthersGetThrough(attempt, error))) return error;
  } catch (cause) {
    log.warn({ err: cause }, 'whether others get through could not be queried');
    return error;
  }
  return new DispatchError('study-refused', `other studies are delivered, this study is not: ${error.message}`, {
    stage: error.stage,
    cause: error,
  });
}

async function doOthersGetThrough({ context, data }: Attempt, { code }: DispatchError): Promise<boolean> {
  const events = await context.records.events(data.deliveryId);
  const before = events.findLast((event) => event.code && (event.kind === 'waiting' || event.kind === 'failed'));
  // It was determined before, and no other delivery fails.
  if (before?.code === 'study-refused') return (await context.circuits.state(data.target)).state === 'closed';
  return before?.code === code && ((await context.circuits.answeredAt(data.target)) ?? 0) > before.at;
}
