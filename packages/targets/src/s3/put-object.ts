import { PutObjectCommand } from '@aws-sdk/client-s3';
import type { Bucket } from './bucket.ts';
import { compareObject, lookAtObject, provesContent, verifyObject } from './look-at-object.ts';
import { checksumAlgorithm, type ObjectOptions } from './object-options.ts';
import { Tally } from './parts.ts';

export interface ObjectToSend {
  readonly key: string;
  readonly options: ObjectOptions;
  /** Whether something may be there already: then it is looked at, and left as it is when it is the same. */
  readonly compare: boolean;
}

/** Makes an object in one request. */
export async function putObject(
  bucket: Bucket,
  { key, options, compare }: ObjectToSend,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const { config } = bucket;
  const tally = new Tally();
  const digest = tally.add(bytes);
  if (compare) {
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
  const answer = await bucket.act('Storing an object', signal, (sending) => bucket.client.send(command, sending));
  if (config.verify === 'answer' && provesContent(answer, tally)) return;
  await verifyObject(bucket, key, tally, signal);
}
