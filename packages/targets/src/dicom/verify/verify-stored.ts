import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import type { AnyDicomTarget } from '../schema.ts';
import { verifyByCommitment } from './verify-by-commitment.ts';
import { verifyByFind } from './verify-by-find.ts';

/**
 * Verifies, as configured, that the receiver has the instances that it has confirmed in this attempt and in earlier ones.
 *
 * @throws DispatchError `verify-missing` after removing confirmations, `verify-pending` if there is no result yet
 */
export async function verifyStored(
  run: DeliveryRun<AnyDicomTarget>,
  instances: readonly ManifestInstance[],
): Promise<void> {
  if (instances.length === 0) return;
  if (run.config.verify === 'find') await verifyByFind(run, instances);
  if (run.config.verify === 'commitment') await verifyByCommitment(run, instances);
}
