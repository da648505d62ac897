import { DispatchError } from '@dicom-dispatch/core';

/**
 * The error for a record in Redis that exists and cannot be read. It belongs to one study: others continue.
 *
 * @param key - the record's key in Redis, which the remedy refers to
 */
export function damagedRecord(key: string, cause: unknown): DispatchError {
  return new DispatchError('record-damaged', `the record ${key} in Redis is damaged`, { cause });
}

export function isDamaged(value: unknown): value is DispatchError {
  return value instanceof DispatchError && value.code === 'record-damaged';
}

/** The records that can be read. For lists, which must not fail because of one entry; nothing may be decided by what is missing. */
export function readable<T extends object>(records: readonly (T | DispatchError | undefined)[]): (T | undefined)[] {
  return records.map((record) => (record instanceof DispatchError ? undefined : record));
}
