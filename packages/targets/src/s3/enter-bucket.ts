import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { translateS3Error } from './errors.ts';

/**
 * Asks the bucket for something small, to learn whether it is there and lets us in before instances are opened. Keys
 * that may only write are refused this; that is fine.
 *
 * @returns whether listing is permitted
 * @throws {DispatchError} in stage `connect`
 */
export async function enterBucket(bucket: Bucket, signal: AbortSignal): Promise<boolean> {
  const command = new ListObjectsV2Command({ Bucket: bucket.name, MaxKeys: 1, Prefix: bucket.config.prefix });
  try {
    await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'AccessDenied') return false;
    throw translateS3Error(thrown, bucket.host, 'Looking into the bucket', 'connect');
  }
}
