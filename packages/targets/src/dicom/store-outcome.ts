import { DispatchError } from '@dicom-dispatch/core';
import type { StoreResult } from 'dicom-dimse';
import type { InstanceOutcome } from '@dicom-dispatch/target-kit';

/**
 * Meaning of a C-STORE status for the instance (PS3.4 table B.2-1, PS3.7 annex C). After success, a warning or "duplicate SOP instance"
 * it is delivered.
 *
 * @throws DispatchError for every other status: `target-misconfigured` for a missing permission, `target-full` for "out of resources"
 *   (which some receivers return for any problem), `instance-failed` for a processing failure, otherwise `instance-refused`
 */
export function storeOutcome(result: StoreResult): InstanceOutcome {
  const status = result.status;
  const shown = `status ${status.toString(16).toUpperCase().padStart(4, '0')}H (${result.text})`;
  if (result.class === 'success') return { kind: 'delivered', answer: shown };
  if (result.class === 'warning') return { kind: 'delivered', warning: shown };
  if (status === 0x0111) return { kind: 'delivered', warning: shown, isExisting: true };
  if (status === 0x0124 || status === 0x0214) {
    throw new DispatchError(
      'target-misconfigured',
      `the receiver reports that the sender is not authorized: ${shown}`,
      {
        remedy: 'Allow the calling AE title to store at the receiver.',
      },
    );
  }
  if ((status & 0xff00) === 0xa700 || status === 0x0213) {
    throw new DispatchError('target-full', `the receiver could not store an instance: ${shown}`, {
      remedy: 'Check the log of the receiver, and free space there. Some receivers report this status for any failure.',
    });
  }
  if (status === 0x0110) {
    throw new DispatchError('instance-failed', `the receiver could not store an instance: ${shown}`, {
      remedy: 'Check the log of the receiver.',
    });
  }
  throw new DispatchError('instance-refused', `the receiver rejects the instance: ${shown}`);
}
