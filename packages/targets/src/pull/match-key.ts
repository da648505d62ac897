import { compileGlob } from '@dicom-dispatch/core';

/**
 * Whether a value matches a key as in a query (PS3.4 section C.2.2.2): `*` and `?` are wildcards, a backslash separates
 * several UIDs or values of which one must match, an empty key matches all. Case-sensitive.
 */
export function matchesKey(value: string | undefined, key: string): boolean {
  if (key === '' || key === '*') return true;
  if (value === undefined) return false;
  return key.split('\\').some((one) => compileGlob(one, 'exact')(value));
}
