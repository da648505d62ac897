import { DispatchError } from '@dicom-dispatch/core';

/** The existing content at the place of an instance. */
export type Occupant =
  /** A DICOM file of another instance, or of the same UIDs and another patient. */
  | 'instance'
  /** A file that is no DICOM file, or cannot be read as one. */
  | 'file'
  | 'folder'
  | 'link'
  /** A socket, a pipe, a device. */
  | 'special'
  /** A parent of the place is a file, or a link that leads out of the target. */
  | 'way'
  | 'denied';

const descriptions: Readonly<Record<Occupant, string>> = {
  instance: 'another instance exists there, or one with the same UIDs of another patient',
  file: 'a different file exists there',
  folder: 'a folder exists there',
  link: 'a link exists there',
  special: 'something exists there that is neither a file nor a folder',
  way: 'a parent folder is a file, or a link that leads out of the target',
  denied: 'access to its folder is denied',
};

const elsewhere = 'Remove the existing content, or change the layout of the target. Then retry the delivery.';
const remedies: Readonly<Partial<Record<Occupant, string>>> = {
  folder: elsewhere,
  link: elsewhere,
  special: elsewhere,
  way: `${elsewhere} If the links are intended, set followLinks.`,
  denied: 'Give the user of the target write permission for the folders in the target, then retry the delivery.',
};

/**
 * The error if other content has the place of an instance.
 *
 * @param where - the target's folder, host or bucket
 * @param path - result of `showPath`: without patient data
 */
export function targetConflict(where: string, path: string, occupant: Occupant): DispatchError {
  return new DispatchError(
    'target-conflict',
    `${where}: the path ${path} cannot be used: ${descriptions[occupant]}`,
    remedies[occupant] === undefined ? {} : { remedy: remedies[occupant] },
  );
}
