import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type PutObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import type { Bucket } from './bucket.ts';
import { isNotThere, notS3, s3Status, translateS3Error } from './errors.ts';
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
    const found = await bucket.raw(signal, (options) => bucket.client.send(command, options));
    if (found.ETag === undefined) throw notS3(bucket.host, 'Reading the properties of an object');
    return found;
  } catch (thrown) {
    if (isNotThere(thrown) || (forbiddenIsMissing && s3Status(thrown) === 403)) return undefined;
    throw translateS3Error(thrown, bucket, 'Reading the properties of an object');
  }
}

/**
 * The first bytes of an object, or all of one that is shorter.
 *
 * @param etag - as it was when the object was looked at
 */
export async function readBeginning(
  bucket: Bucket,
  key: string,
  etag: string | undefined,
  maxBytes: number,
  signal: AbortSignal,
): Promise<Buffer> {
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key, Range: `bytes=0-${maxBytes - 1}` });
  const bytes = await bucket.act(
    'Reading an object',
    signal,
    async (options) => {
      const { Body, ETag } = await bucket.client.send(command, options);
      // It was replaced since it was looked at, or something else has answered.
      if (ETag !== etag)
        throw new DispatchError('instance-failed', `${bucket.host}: an object has changed while it was read`);
      return Body?.transformToByteArray();
    },
    maxBytes,
  );
  return Buffer.from(bytes ?? []).subarray(0, maxBytes);
}

export function etagOf(etag: string | undefined): string | undefined {
  return etag?.replace(/^W\//, '').replaceAll('"', '').toLowerCase();
}

/** Whether an ETag has the shape of an MD5: that of the whole, of servers that say so also for what was made of parts. */
export function looksLikeMd5(etag: string | undefined): boolean {
  return /^[0-9a-f]{32}$/.test(etagOf(etag) ?? '');
}

/** What a comparison says; servers that encrypt with own keys, and some others, have ETags that are no checksum. */
export type Likeness = 'same' | 'different' | 'unknown';

export function compareObject(found: HeadObjectCommandOutput, tally: Tally): Likeness {
  if (found.ContentLength !== tally.sizeBytes) return 'different';
  const isWhole = found.ChecksumType === 'FULL_OBJECT' || (found.ChecksumType === undefined && tally.partCount === 1);
  if (found.ChecksumCRC32 !== undefined && isWhole && !found.ChecksumCRC32.includes('-')) {
    return found.ChecksumCRC32 === tally.crc32Base64 ? 'same' : 'different';
  }
  const encrypted = found.ServerSideEncryption?.startsWith('aws:') || found.SSECustomerAlgorithm !== undefined;
  const etag = etagOf(found.ETag);
  if (encrypted || etag === undefined) return 'unknown';
  if (etag === tally.wholeMd5 || etag === tally.multipartEtag) return 'same';
  // Made in one request, an object has the MD5 of its bytes; of parts, some servers make 32 digits of their own.
  if (looksLikeMd5(etag)) return tally.partCount === 1 ? 'different' : 'unknown';
  return etag.endsWith(`-${tally.partCount}`) ? 'different' : 'unknown';
}

/**
 * Whether the answer to a PUT shows that the server holds what was sent: an ETag that is the MD5 of the bytes, which the
 * server was not told but has computed of what it took. An object is there as a whole when its PUT is answered (API
 * reference, "PutObject").
 */
export function provesContent(answer: PutObjectCommandOutput, tally: Tally): boolean {
  return etagOf(answer.ETag) === tally.wholeMd5;
}

/**
 * Asks for an object that was just made (HEAD), and compares its size and checksum with what was sent.
 *
 * @param said - the ETag in the answer to the upload, and what had the key before
 * @throws {DispatchError} `verify-missing`
 */
export async function verifyObject(
  bucket: Bucket,
  key: string,
  tally: Tally,
  signal: AbortSignal,
  upload?: { readonly etag: string | undefined; readonly before: HeadObjectCommandOutput | undefined },
): Promise<void> {
  if (bucket.config.verify === 'none') return;
  const found = await lookAtObject(bucket, key, signal);
  if (!found) throw missing(bucket, 'the server does not have an object that it has just confirmed');
  if (found.ContentLength !== tally.sizeBytes) {
    throw missing(bucket, `an object has ${found.ContentLength ?? 'unknown'} bytes after ${tally.sizeBytes} were sent`);
  }
  // A proxy may answer in the place of the server, with an ETag of its own.
  const isAsBefore = upload?.before !== undefined && etagOf(found.ETag) === etagOf(upload.before.ETag);
  if (isAsBefore && etagOf(upload.etag) !== etagOf(found.ETag) && compareObject(found, tally) !== 'same') {
    throw missing(bucket, 'the server still has the previous object');
  }
  if (bucket.config.verify !== 'size' && compareObject(found, tally) === 'different') {
    throw missing(
      bucket,
      'an object has a different checksum than the sent data',
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
