import { z } from 'zod';

/** The option `rememberPlace`. */
export function rememberPlaceOption(byDefault: boolean) {
  return z
    .boolean()
    .default(byDefault)
    .describe(
      'mark the folder with a hidden file (.dicom-dispatch-target), and refuse to write where the mark is missing or differs: this detects a share that is not mounted, or another disk in its place',
    );
}
