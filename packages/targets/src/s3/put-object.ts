import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { compareObject, lookAtObject, verifyObject } from './look-at-object.ts';
import { checksumAlgorithm, type ObjectOptions } from './object-options.ts';
import { Tally } from './parts.ts';

/** Makes an object in one request; one that is there with the same content is left as it is. */
export async function putObject(
  bucket: Bucket,
  key: string,
  bytes: Buffer,
  options: ObjectOptions,
  signal: AbortSignal,
): Promise<void> {
  const { config } = bucket;
  const tally = new Tally();
  const digest = tally.add(bytes);
  if (config.existing === 'compare') {
    const found = await lookAtObject(bucket, key, signal, { forbiddenIsMissing: true });
    if (found && compareObject(found, tally) === 'same') return;
  }
  const algorithm = checksumAlgorithm(config);
  const command = new PutObjectCommand({
    ...options,
    Bucket: bucket.name,
    Key: key,
    Body: bytes,
    ContentLength: bytes.length,
    ...(algorithm && { ChecksumAlgorithm: algorithm }),
    ...(config.checksum === 'md5' && { ContentMD5: digest.toString('base64') }),
  });
  await bucket.act('Storing an object', signal, (sending) => bucket.client.send(command, sending));
  await verifyObject(bucket, key, tally, signal);
}
