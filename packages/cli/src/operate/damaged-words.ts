import { errorCodes } from '@dicom-dispatch/core';

/** Lines that name damaged records, with the remedy; empty without any. */
export function damagedWords(keys: readonly string[]): string {
  if (keys.length === 0) return '';
  return [
    '',
    'damaged records, which stay as they are:',
    ...keys.map((key) => `  ${key}`),
    errorCodes['record-damaged'].remedy,
  ].join('\n');
}
