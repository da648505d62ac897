import type { InstanceBytes } from '@dicom-dispatch/core';

declare const guarded: unique symbol;

/** Bytes that only the guard creates: code that reads instances requires this type, so that the guard cannot be bypassed. */
export type GuardedBytes = InstanceBytes & { readonly [guarded]: true };

export function asGuarded(bytes: InstanceBytes): GuardedBytes {
  return bytes as GuardedBytes;
}
