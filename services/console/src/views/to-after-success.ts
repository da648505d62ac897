import type { OnSuccessConfig } from '@dicom-dispatch/core';
import type { TaskRecord } from '@dicom-dispatch/state/tasks';
import type { AfterSuccess } from './schemas.ts';

/** A step after success as the console shows it. */
export function toAfterSuccess({ data, state, attempts, nextAttemptAt, error, done, left }: TaskRecord): AfterSuccess {
  return {
    state,
    wanted: data.onSuccess ? wordsOf(data.onSuccess) : [],
    attempts,
    ...(nextAttemptAt !== undefined && { nextAttemptAt }),
    ...(error && { error }),
    done: [...done],
    left: [...left],
  };
}

function wordsOf({ labels, metadata, unprotect, delete: deletes }: OnSuccessConfig): string[] {
  return [
    ...labels.map((label) => `add the label ${label}`),
    ...Object.keys(metadata).map((name) => `set the metadata ${name}`),
    ...(unprotect ? ['remove the protection of the patient'] : []),
    ...(deletes ? ['delete the delivered instances'] : []),
  ];
}
