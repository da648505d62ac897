import type { DispatchError } from '@dicom-dispatch/core';
import { isSameInstance, type InstanceIdentity } from './instance-identity.ts';
import type { Occupant } from './target-conflict.ts';

/** The claim of an instance on its place at a target. */
export interface PlaceClaim {
  /** The error for a taken place, without patient data. */
  conflict(occupant: Occupant): DispatchError;
  /**
   * Whether existing content with the same UIDs and patient can be an older version of the instance: false if only another study with
   * the same Study Instance UID was sent there. Default: true.
   */
  canBeOlder?(): Promise<boolean>;
}

/** Whether a file with other content may be replaced without a conflict: it is an older version of the same instance. */
export async function isOlderVersion(
  { canBeOlder }: Pick<PlaceClaim, 'canBeOlder'>,
  theirs: InstanceIdentity | undefined,
  ours: InstanceIdentity | undefined,
): Promise<boolean> {
  return isSameInstance(theirs, ours) && (await canBeOlder?.()) !== false;
}
