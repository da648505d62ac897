import { sizeBytes } from '@dicom-dispatch/core';

/** The option `minRate` of targets that are reached over a network. */
export const minRateOption = sizeBytes
  .default(1_000)
  .describe(
    'bytes a second that the target has to take at least, on average: one that trickles is given up (target-timeout); 0 = no limit',
  );
