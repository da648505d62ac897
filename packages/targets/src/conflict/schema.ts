import { z } from 'zod';

/** What is done when something else has the place of an instance. */
export const conflictOption = z
  .enum(['error', 'overwrite'])
  .default('error')
  .describe(
    'if different content exists at the path of an instance: error = it is kept, and the instance is quarantined (target-conflict); overwrite = it is replaced. An older version of the same instance of the same patient is always replaced',
  );
export type ConflictPolicy = z.output<typeof conflictOption>;
