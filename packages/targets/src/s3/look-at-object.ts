import { HeadObjectCommand, type HeadObjectCommandOutput, type PutObjectCommandOutput } from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import type { Bucket } from './bucket.ts';
import { isNotThere, s3Status, translateS3Error } from './errors.ts';
import type { Tally } from './parts.ts';

/**
 * What the bucket has under a key, or undefined. Keys that may not list the bucket get 403 for what is not there (API
 * reference, "HeadObject"): with `forbiddenIsMissing` that counts as not there.
 */
export async function lookAtObject(
  bucket: Bucket,
  key: string,
  signal: AbortSignal,
  { forbiddenIsMissing = false } = {},
): Promise<HeadObjectCommandOutput | undefined> {
  const withChecksum = !['none', 'md5'].includes(bucket.config.checksum);
  const command = new HeadObjectCommand({
    Bucket: bucket.name,
    Key: key,
    ...(withChecksum && { ChecksumMode: 'ENABLED' as const }),
  });
  try {
    return await bucket.raw(signal, (options) => bucket.client.send(command, options));
  } catch (thrown) {
    if (isNotThere(thrown) || (forbiddenIsMissing && s3Status(thrown) === 403)) return undefined;
    throw translateS3Error(thrown, bucket.host, 'Looking at an object');
  }
}

export function etagOf(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '').replaceAll('"', '').toLowerCase();
}

/** What a comparison says: servers that encrypt with own keys have ETags that are no checksum of the content. */
export type Likeness = 'same' | 'different' | 'unknown';

export function compareObject(found: HeadObjectCommandOutput, tally: Tally): Likeness {
  if (found.ContentLength !== tally.sizeBytes) return 'different';
  if (found.ChecksumCRC32 !== undefined && found.ChecksumType === 'FULL_OBJECT') {
    return found.ChecksumCRC32 === tally.crc32Base64 ? 'same' : 'different';
  }
  const encrypted = found.ServerSideEncryption?.startsWith('aws:') || found.SSECustomerAlgorithm !== undefined;
  const etag = etagOf(found.ETag);
  if (encrypted || etag === undefined) return 'unknown';
  if (/^[0-9a-f]{32}$/.test(etag)) return etag === tally.singleEtag ? 'same' : 'different';
  if (/^[0-9a-f]{32}-\d+$/.test(etag)) return etag === tally.multipartEtag ? 'same' : 'different';
  return 'unknown';
}

/**
 * Whether the answer to a PUT shows that the server holds what was sent: an ETag that is the MD5 of the bytes, which the
 * server was not told but has computed of what it took. An object is there as a whole when its PUT is answered (API
 * reference, "PutObject").
 */
export function provesContent(answer: PutObjectCommandOutput, tally: Tally): boolean {
  return etagOf(answer.ETag) === tally.singleEtag;
}

/**
 * Asks for an object that was just made (HEAD), and compares its size and checksum with what was sent.
 *
 * @throws {DispatchError} `verify-missing`
 */
export async function verifyObject(bucket: Bucket, key: string, tally: Tally, signal: AbortSignal): Promise<void> {
  if (bucket.config.verify === 'none') return;
  const found = await lookAtObject(bucket, key, signal);
  if (!found) throw missing(bucket, 'the server does not have an object that it has just confirmed');
  if (found.ContentLength !== tally.sizeBytes) {
    throw missing(bucket, `an object has ${found.ContentLength ?? 'unknown'} bytes after ${tally.sizeBytes} were sent`);
  }
  if (bucket.config.verify !== 'size' && compareObject(found, tally) === 'different') {
    throw missing(
      bucket,
      'an object has another checksum than what was sent',
      'If this server does not compute ETags from the content, set verify to size.',
    );
  }
}

function missing(bucket: Bucket, message: string, remedy?: string): DispatchError {
  return new DispatchError('verify-missing', `${bucket.host}: ${message}`, {
    stage: 'verify',
    ...(remedy !== undefined && { remedy }),
  });
}
