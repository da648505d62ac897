import { DispatchError, innermostError, localShortage, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { OrthancError, type OrthancErrorCode } from '@dicom-dispatch/orthanc';

const codes = {
  unreachable: 'source-unreachable',
  tls: 'source-unreachable',
  timeout: 'source-unreachable',
  reset: 'source-unreachable',
  busy: 'source-unreachable',
  unauthorized: 'source-unauthorized',
  forbidden: 'source-unauthorized',
  'not-found': 'source-error',
  conflict: 'source-error',
  'bad-request': 'source-error',
  'server-error': 'source-error',
  protocol: 'source-error',
  'too-large': 'source-error',
  unsupported: 'source-error',
  'job-failed': 'source-error',
  'local-resources': 'local-resources',
  cancelled: 'cancelled',
} as const satisfies Record<OrthancErrorCode, ErrorCode>;

/** Meaning of a source's error for a delivery. The only place where Orthanc's errors are translated. */
export function sourceError(thrown: unknown, source: string, stage?: Stage): unknown {
  if (!(thrown instanceof OrthancError)) return thrown;
  // Only `studyError` and `proveGone` determine that a study was deleted: a 404 may concern anything, and come from any
  // server.
  const isForeign = thrown.code === 'not-found' && !thrown.isOrthancAnswer;
  const shortage = thrown.code === 'cancelled' ? undefined : localShortage(innermostError(thrown.cause));
  const words = isForeign ? `${thrown.message}; this is not an answer of Orthanc` : thrown.message;
  return new DispatchError(shortage ? 'local-resources' : codes[thrown.code], `source ${source}: ${words}`, {
    cause: thrown,
    ...(isForeign && {
      remedy: 'Check what is between the dispatcher and the source Orthanc, for example a reverse proxy.',
    }),
    ...(shortage && { remedy: shortage.remedy }),
    ...(stage && { stage }),
    ...(thrown.retryAfterMs !== undefined && { retryAfterMs: thrown.retryAfterMs }),
  });
}
