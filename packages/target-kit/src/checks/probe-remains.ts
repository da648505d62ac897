import { DispatchError } from '@dicom-dispatch/core';

/**
 * The result of a check whose probe may not be removed: deliveries can use such a target.
 *
 * @throws the error if it has another reason than a missing permission
 */
export function probeRemains(thrown: unknown, probe: string): { readonly skip: string } {
  const isForbidden =
    thrown instanceof DispatchError &&
    (thrown.code === 'target-unauthorized' || thrown.code === 'target-misconfigured');
  if (!isForbidden) throw thrown;
  return { skip: `${thrown.message}: remove ${probe} manually; deliveries do not need this permission` };
}
