import { z } from 'zod';

/** Action if other content has the place of an instance. */
export const conflictOption = z
  .enum(['error', 'overwrite'])
  .default('error')
  .describe(
    'if different content exists at the path of an instance: error = it is kept, and the instance is quarantined (target-conflict); overwrite = it is replaced. An older version of the same instance of the same patient is always replaced',
  );

/** The same for targets that identify an instance by its SOP Instance UID alone. */
export const uidConflictOption = z
  .enum(['note', 'error'])
  .default('note')
  .describe(
    'if the target has received the SOP Instance UID of an instance with another study, or another series of the study: note = it is sent, and both deliveries have a note; error = it is not sent, and quarantined (target-conflict)',
  );
