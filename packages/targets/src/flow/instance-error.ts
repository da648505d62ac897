import type { DispatchError } from '@dicom-dispatch/core';

/**
 * What an error says of the run.
 *
 * - `quarantine`: this instance will never arrive; the study goes on without it
 * - `later`: this instance failed now; the others go on, then the attempt fails
 * - `stop`: the target, the source or we cannot go on
 */
export type Verdict = 'quarantine' | 'later' | 'stop';

export function verdictOf(error: DispatchError): Verdict {
  if (error.code === 'source-instance-gone') return 'quarantine';
  if (error.fault === 'instance' && error.disposition === 'permanent') return 'quarantine';
  if (error.code === 'instance-failed' || error.fault === 'instance') return 'later';
  return 'stop';
}
