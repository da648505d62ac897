import type { InstanceBytes } from '@dicom-dispatch/core';

declare const guarded: unique symbol;

/** Bytes that only the guard makes: whoever takes them for an instance asks for this type, so that no path goes around it. */
export type GuardedBytes = InstanceBytes & { readonly [guarded]: true };

export function asGuarded(bytes: InstanceBytes): GuardedBytes {
  return bytes as GuardedBytes;
}
