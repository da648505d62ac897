import { ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { notS3, s3Status, translateS3Error } from './errors.ts';

/**
 * Sends a small request to the bucket, to check that it exists and accepts the login before instances are opened. Keys
 * with write permission only get an error here, which is ignored.
 *
 * @returns whether listing is permitted
 * @throws {DispatchError} in stage `connect`
 */
export async function enterBucket(bucket: Bucket, signal: AbortSignal): Promise<boolean> {
  const command = new ListObjectsV2Command({ Bucket: bucket.name, MaxKeys: 1, Prefix: bucket.config.prefix });
  try {
    const found = await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
    if (!isList(found)) throw notS3(bucket.host, 'Checking the bucket', { stage: 'connect' });
    return true;
  } catch (thrown) {
    const name = thrown instanceof Error ? thrown.name : '';
    // Storing may be allowed without listing, and a server may not support this version of listing.
    if (name === 'AccessDenied' || name === 'NotImplemented' || s3Status(thrown) === 501) return false;
    throw translateS3Error(thrown, bucket, 'Checking the bucket', 'connect');
  }
}

/** Whether a response is a list of keys: it has the bucket, or whether it is complete (API reference, "ListObjectsV2"). */
export function isList({ Name, IsTruncated }: ListObjectsV2CommandOutput): boolean {
  return Name !== undefined || IsTruncated !== undefined;
}
