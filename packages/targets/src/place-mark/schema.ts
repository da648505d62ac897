import { z } from 'zod';

/** The option `rememberPlace`. */
export function rememberPlaceOption(byDefault: boolean) {
  return z
    .boolean()
    .default(byDefault)
    .describe(
      'mark the folder with a hidden file (.dicom-dispatch-target), remember the mark, and write nothing where it is missing or another: a share that is not mounted, or another disk in its place, is noticed',
    );
}
