import type { Config } from '@dicom-dispatch/core';
import { searchKeys, type SearchKey } from '@dicom-dispatch/state/records';

/**
 * Keys of the hashes by which studies are found after they have left their source, newest first; if empty, no hashes are
 * stored.
 */
export function searchKeysOf({ records }: Pick<Config, 'records'>): SearchKey[] {
  return searchKeys((records.searchKey ?? []).map((secret) => secret.reveal()));
}
