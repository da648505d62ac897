import { DispatchError, type ManifestInstance } from '@dicom-dispatch/core';

/** @throws DispatchError always */
export function cannotChange(instance: ManifestInstance, why: string): never {
  throw new DispatchError('instance-unsupported', `instance ${instance.sopInstanceUid} cannot be changed: ${why}`, {
    stage: 'transfer',
    remedy: 'Exclude such instances from the transform, or change it.',
  });
}
