import { asDispatchError, DispatchError, type ErrorCode } from '@dicom-dispatch/core';

/** What a failed upload may be called, whether the instance or the target is at fault. */
const doubtful: ReadonlySet<ErrorCode> = new Set([
  'target-error',
  'target-busy',
  'target-timeout',
  'target-connection-lost',
]);

/**
 * Whose fault it is that the upload of one instance failed: when the target answers otherwise it is about this instance, and
 * the others go on.
 *
 * @param isWell - asks the target something that does not depend on the instance; rejects when it does not answer
 */
export async function instanceFailure(
  thrown: unknown,
  isWell: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<unknown> {
  const error = asDispatchError(thrown);
  // Who says when to come back is busy as a whole.
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
