import { DispatchError } from '@dicom-dispatch/core';

/** What an aborted signal means for a run: its reason when that is a DispatchError (lock lost …), else `cancelled`. */
export function cancelledError(signal: AbortSignal): DispatchError {
  if (signal.reason instanceof DispatchError) return signal.reason;
  return new DispatchError('cancelled', 'the delivery was cancelled', { cause: signal.reason });
}

/** @throws {DispatchError} when the signal is aborted */
export function throwIfCancelled(signal: AbortSignal): void {
  if (signal.aborted) throw cancelledError(signal);
}
