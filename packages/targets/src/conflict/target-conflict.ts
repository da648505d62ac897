import { DispatchError } from '@dicom-dispatch/core';

/** What stands in the place of an instance. */
export type Occupant =
  /** A DICOM file of another instance, or of the same UIDs and another patient. */
  | 'instance'
  /** A file that is no DICOM file, or cannot be read as one. */
  | 'file'
  | 'folder'
  | 'link'
  /** A socket, a pipe, a device. */
  | 'special'
  /** On the way to the place. */
  | 'way'
  | 'denied';

const descriptions: Readonly<Record<Occupant, string>> = {
  instance: 'another instance is there, or one of the same UIDs and another patient',
  file: 'a file is there that is not this instance',
  folder: 'a folder is there',
  link: 'a link is there',
  special: 'something is there that is neither a file nor a folder',
  way: 'on the way to it is a file, or a link that leads out of the target',
  denied: 'access to its folder is denied',
};

const elsewhere = 'Remove what is there, or change the layout of the target; then retry the delivery.';
const remedies: Readonly<Partial<Record<Occupant, string>>> = {
  folder: elsewhere,
  link: elsewhere,
  special: elsewhere,
  way: `${elsewhere} Links that lead elsewhere on purpose: followLinks.`,
  denied: 'Give the user of the target the right to write to the folders in the target, then retry the delivery.',
};

/**
 * Something else has the place of an instance.
 *
 * @param where - the target's folder, host or bucket
 * @param path - as `showPath` gives it: without patient data
 */
export function targetConflict(where: string, path: string, occupant: Occupant): DispatchError {
  return new DispatchError(
    'target-conflict',
    `${where}: the place ${path} cannot be had: ${descriptions[occupant]}`,
    remedies[occupant] === undefined ? {} : { remedy: remedies[occupant] },
  );
}
