import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { isList } from './enter-bucket.ts';

/** A page has at most 1,000 keys (API reference, "ListObjectsV2"). */
const keysPerPage = 1_000;
/** Maximum number of additional pages: with more, the prefix has many other objects, and each key is checked instead. */
const pagesToSpare = 4;

/**
 * Which of the keys are taken, by listing their common prefix once instead of checking each.
 *
 * @returns undefined if listing fails, or would take longer than checking
 */
export async function takenKeys(
  bucket: Bucket,
  keys: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlySet<string> | undefined> {
  if (keys.length < 3) return undefined;
  const wanted = new Set(keys);
  const taken = new Set<string>();
  const maxPages = Math.ceil(keys.length / keysPerPage) + pagesToSpare;
  const prefix = commonFolder(keys);
  let token: string | undefined;
  try {
    for (let page = 0; page < maxPages; page += 1) {
      const command = new ListObjectsV2Command({
        Bucket: bucket.name,
        Prefix: prefix,
        MaxKeys: keysPerPage,
        ...(token !== undefined && { ContinuationToken: token }),
      });
      const found = await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
      if (!isList(found)) return undefined;
      for (const { Key } of found.Contents ?? []) if (Key !== undefined && wanted.has(Key)) taken.add(Key);
      if (!found.IsTruncated) return taken;
      token = found.NextContinuationToken;
      if (token === undefined) return undefined;
    }
  } catch {
    // A persistent error occurs again in the required requests.
    signal.throwIfAborted();
  }
  return undefined;
}

/** The longest part up to a slash that all keys begin with. */
export function commonFolder(keys: readonly string[]): string {
  let common = keys[0] ?? '';
  for (const key of keys) {
    let length = 0;
    while (length < common.length && common[length] === key[length]) length += 1;
    common = common.slice(0, length);
  }
  return common.slice(0, common.lastIndexOf('/') + 1);
}
