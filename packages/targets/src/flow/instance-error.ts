import type { DispatchError, ErrorCode } from '@dicom-dispatch/core';

/**
 * What an error says of the run.
 *
 * - `quarantine`: this instance will never arrive; the study goes on without it
 * - `later`: this instance failed now; the others go on, then the attempt fails
 * - `stop`: the target, the source or we cannot go on
 */
export type Verdict = 'quarantine' | 'later' | 'stop';

/** What the source fails at one instance of: the others may be well. */
const ofOneInstance: ReadonlySet<ErrorCode> = new Set([
  'source-instance-gone',
  'source-instance-failed',
  'source-bytes-wrong',
]);

export function verdictOf(error: DispatchError): Verdict {
  if (ofOneInstance.has(error.code)) return error.disposition === 'permanent' ? 'quarantine' : 'later';
  if (error.fault === 'instance' && error.disposition === 'permanent') return 'quarantine';
  if (error.code === 'instance-failed' || error.fault === 'instance') return 'later';
  return 'stop';
}
