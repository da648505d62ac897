import { keywords, nearestKeyword } from '@dicom-dispatch/core';
import { OperationError } from '@dicom-dispatch/pipeline';
import type { FindQuery } from '@dicom-dispatch/target-kit';

/**
 * Rejects names that are not DICOM keywords (PS3.6): many targets ignore unknown keys, and would list everything.
 *
 * @throws OperationError `invalid`, with the nearest keyword
 */
export function checkSearchKeys({ series = {} }: FindQuery): void {
  for (const keyword of Object.keys(series)) {
    if (keywords.has(keyword)) continue;
    const nearest = nearestKeyword(keyword);
    const hint = nearest === undefined ? 'such as Modality or SeriesDescription' : `the nearest is ${nearest}`;
    throw new OperationError(
      'invalid',
      `series cannot be searched by "${keyword}": it is not a DICOM keyword; ${hint}`,
    );
  }
}
