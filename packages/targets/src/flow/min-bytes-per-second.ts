import { sizeBytes } from '@dicom-dispatch/core';

/** The option `minBytesPerSecond` of targets that are reached over a network. */
export const minBytesPerSecondOption = sizeBytes
  .default(1_000)
  .describe(
    'minimum average transfer rate per second; a slower target is treated as timed out (target-timeout); 0 = no limit',
  );
