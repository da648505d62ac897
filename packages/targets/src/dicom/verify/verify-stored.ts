import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import type { AnyDicomTarget } from '../schema.ts';
import { verifyByCommitment } from './verify-by-commitment.ts';
import { verifyByFind } from './verify-by-find.ts';

/**
 * Makes sure, as far as the target is configured to, that the receiver has what it has confirmed, of this attempt and of
 * earlier ones.
 *
 * @throws DispatchError `verify-missing` after taking confirmations back, `verify-pending` when it is not said yet
 */
export async function verifyStored(
  run: DeliveryRun<AnyDicomTarget>,
  instances: readonly ManifestInstance[],
): Promise<void> {
  if (instances.length === 0) return;
  if (run.config.verify === 'find') await verifyByFind(run, instances);
  if (run.config.verify === 'commitment') await verifyByCommitment(run, instances);
}
