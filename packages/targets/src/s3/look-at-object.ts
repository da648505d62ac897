import {
  GetObjectCommand,
  HeadObjectCommand,
  type HeadObjectCommandOutput,
  type PutObjectCommandOutput,
} from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import type { Bucket } from './bucket.ts';
import { isNotThere, notS3, s3Status, translateS3Error } from './errors.ts';
import { Crc32Tally, type Tally } from './parts.ts';

/**
 * The object with a key, or undefined. Without list permission the response for a missing object is 403 (API reference,
 * "HeadObject"): with `forbiddenIsMissing` this counts as missing.
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
 * The first bytes of an object, or all of a shorter one.
 *
 * @param etag - of the object when it was checked
 * @throws {DispatchError} `instance-failed` if the object now has another ETag
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
      // The object was replaced since it was checked, or another server has responded.
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

/** Whether an ETag has the form of an MD5: some servers also use this form for objects made from parts. */
export function looksLikeMd5(etag: string | undefined): boolean {
  return /^[0-9a-f]{32}$/.test(etagOf(etag) ?? '');
}

/**
 * Result of a comparison. Servers that encrypt with their own keys, and some others, have ETags that are not checksums:
 * `other-etag` is a different ETag in the form of a checksum.
 */
export type Likeness = 'same' | 'different' | 'other-etag' | 'unknown';

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
  // Created in one request, an object has the MD5 of its bytes; for parts, some servers have their own 32 digits.
  if (looksLikeMd5(etag)) return tally.partCount === 1 ? 'other-etag' : 'unknown';
  return etag.endsWith(`-${tally.partCount}`) ? 'other-etag' : 'unknown';
}

/**
 * Whether the response to a PUT shows that the server has the sent data: an ETag that is the MD5 of the bytes, which the server has
 * computed itself. An object is complete when the response to its PUT arrives (API reference, "PutObject").
 */
export function provesContent(answer: PutObjectCommandOutput, tally: Tally): boolean {
  return etagOf(answer.ETag) === tally.wholeMd5;
}

/**
 * Checks a new object (HEAD), and compares its size and checksum with the sent data.
 *
 * @param upload - the ETag in the response to the upload, and the previous object with the key
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
  // A proxy may respond instead of the server, with its own ETag.
  const isAsBefore = upload?.before !== undefined && etagOf(found.ETag) === etagOf(upload.before.ETag);
  if (isAsBefore && etagOf(upload.etag) !== etagOf(found.ETag) && compareObject(found, tally) !== 'same') {
    throw missing(bucket, 'the server still has the previous object');
  }
  if (bucket.config.verify === 'size') return;
  const likeness = compareObject(found, tally);
  if (likeness === 'different') throw missing(bucket, 'an object has a different checksum than the sent data');
  if (likeness !== 'other-etag' || bucket.hasOwnEtags) return;
  if (!(await hasContent(bucket, key, found, tally, signal)))
    throw missing(bucket, 'an object has different content than the sent data');
  bucket.hasOwnEtags = true;
}

/** Reads an object, and compares its size and CRC-32 with those of the sent data. */
export function hasContent(
  bucket: Bucket,
  key: string,
  { ETag: etag }: HeadObjectCommandOutput,
  tally: Tally,
  signal: AbortSignal,
): Promise<boolean> {
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key });
  return bucket.act(
    'Reading an object',
    signal,
    async (options) => {
      const { Body, ETag } = await bucket.client.send(command, options);
      const read = new Crc32Tally();
      for await (const chunk of (Body ?? []) as AsyncIterable<Uint8Array>) {
        read.add(chunk);
        if (read.sizeBytes > tally.sizeBytes) break;
      }
      return ETag === etag && read.sizeBytes === tally.sizeBytes && read.crc32Base64 === tally.crc32Base64;
    },
    tally.sizeBytes,
  );
}

function missing(bucket: Bucket, message: string): DispatchError {
  return new DispatchError('verify-missing', `${bucket.host}: ${message}`, { stage: 'verify' });
}
