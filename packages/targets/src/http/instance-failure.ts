import { asDispatchError, DispatchError, type ErrorCode } from '@dicom-dispatch/core';

/** Error codes of a failed upload that may be caused by the instance or by the target. */
const doubtful: ReadonlySet<ErrorCode> = new Set([
  'target-error',
  'target-busy',
  'target-timeout',
  'target-connection-lost',
]);

/**
 * Determines the cause of a failed upload of one instance: if the target responds to another request, the instance is the cause, and
 * the other instances are sent.
 *
 * @param isWell - sends a request that does not depend on the instance; rejects if there is no response
 */
export async function instanceFailure(
  thrown: unknown,
  isWell: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<unknown> {
  const error = asDispatchError(thrown);
  // A target that sends Retry-After is busy as a whole.
  if (signal.aborted || !doubtful.has(error.code) || error.retryAfterMs !== undefined) return thrown;
  try {
    await isWell();
  } catch {
    return thrown;
  }
  return new DispatchError(
    'instance-failed',
    `the target failed on an instance, but answers other requests: ${error.message}`,
    {
      cause: error,
      remedy: `${error.remedy} The instance is sent again; after three failures it is quarantined.`,
    },
  );
}
