import { DispatchError, type ErrorCode, type Stage } from '@dicom-dispatch/core';
import { OrthancError, type OrthancErrorCode } from '@dicom-dispatch/orthanc';

const codes = {
  unreachable: 'source-unreachable',
  tls: 'source-unreachable',
  timeout: 'source-unreachable',
  reset: 'source-unreachable',
  busy: 'source-unreachable',
  unauthorized: 'source-unauthorized',
  forbidden: 'source-unauthorized',
  'not-found': 'source-gone',
  conflict: 'source-error',
  'bad-request': 'source-error',
  'server-error': 'source-error',
  protocol: 'source-error',
  'too-large': 'source-error',
  unsupported: 'source-error',
  'job-failed': 'source-error',
  cancelled: 'cancelled',
} as const satisfies Record<OrthancErrorCode, ErrorCode>;

/** What a source's answer means for a delivery. The one place where Orthanc's errors are translated. */
export function sourceError(thrown: unknown, source: string, stage?: Stage): unknown {
  if (!(thrown instanceof OrthancError)) return thrown;
  return new DispatchError(codes[thrown.code], `source ${source}: ${thrown.message}`, {
    cause: thrown,
    ...(stage && { stage }),
    ...(thrown.retryAfterMs !== undefined && { retryAfterMs: thrown.retryAfterMs }),
  });
}
