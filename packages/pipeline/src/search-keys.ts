import type { Config } from '@dicom-dispatch/core';
import { searchKeys, type SearchKey } from '@dicom-dispatch/state/records';

/** Keys of the hashes by which studies are found that have left their source, the newest first; none: none are kept. */
export function searchKeysOf({ records }: Pick<Config, 'records'>): SearchKey[] {
  return searchKeys((records.searchKey ?? []).map((secret) => secret.reveal()));
}
