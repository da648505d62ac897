import { PutObjectCommand, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import type { Bucket } from './bucket.ts';
import { isTaken, notS3, translateS3Error } from './errors.ts';
import { judgeObject, type Claim } from './judge-object.ts';
import { compareObject, lookAtObject, provesContent, verifyObject } from './look-at-object.ts';
import { checksumAlgorithm, type ObjectOptions } from './object-options.ts';
import { usesConditions } from './options-in-use.ts';
import { Tally } from './parts.ts';
import type { KeysInUse } from './stored-keys.ts';

export interface ObjectToSend extends Claim {
  readonly options: ObjectOptions;
}

/** Data about the keys of a delivery. */
export interface KnownKeys {
  readonly inUse: KeysInUse;
  /** Whether an object may have the key; false if the keys were listed without it. */
  mayBeTaken(key: string): boolean;
  /** Whether listing is permitted: then 403 for an object means that it exists and must not be read. */
  readonly mayList: boolean;
}

export type Stored =
  | 'new'
  /** The key already had the same content. */
  | 'same'
  | 'replaced';

/** Maximum number of tries while others create and delete the key. */
export const maxRounds = 5;

export function takenAgain({ host }: Bucket): DispatchError {
  return new DispatchError('instance-failed', `${host}: a key is repeatedly created and removed by others`);
}

/** The current object with the key; undefined if there is none, or if it need not be checked. */
export function whatHasKey(
  bucket: Bucket,
  known: KnownKeys,
  key: string,
  signal: AbortSignal,
): Promise<HeadObjectCommandOutput | undefined> {
  const isToBeSeen = bucket.config.existing === 'compare' && (known.mayBeTaken(key) || known.inUse.isContended);
  if (!isToBeSeen) return Promise.resolve(undefined);
  return lookAtObject(bucket, key, signal, { forbiddenIsMissing: !known.mayList });
}

/** Creates an object in one request. */
export function putObject(
  bucket: Bucket,
  known: KnownKeys,
  object: ObjectToSend,
  bytes: Buffer,
  signal: AbortSignal,
): Promise<Stored> {
  const tally = new Tally();
  const digest = tally.add(bytes);
  return known.inUse.with(object.key, signal, async () => {
    let found = await whatHasKey(bucket, known, object.key, signal);
    for (let round = 0; round < maxRounds; round += 1) {
      if (found) {
        if (compareObject(found, tally) === 'same') return 'same';
        await judgeObject(bucket, found, object, bytes, signal);
      }
      if (await store(bucket, object, { bytes, digest, tally, before: found }, signal))
        return found ? 'replaced' : 'new';
      found = await lookAtObject(bucket, object.key, signal);
    }
    throw takenAgain(bucket);
  });
}

/** @returns false if the key was used by another upload in the meantime */
async function store(
  bucket: Bucket,
  { key, options, answered }: ObjectToSend,
  {
    bytes,
    digest,
    tally,
    before,
  }: { bytes: Buffer; digest: Buffer; tally: Tally; before: HeadObjectCommandOutput | undefined },
  signal: AbortSignal,
): Promise<boolean> {
  const { config } = bucket;
  const algorithm = checksumAlgorithm(config);
  const isConditional = !before && config.existing === 'compare' && usesConditions(config);
  const command = new PutObjectCommand({
    ...options,
    Bucket: bucket.name,
    Key: key,
    Body: bytes,
    ContentLength: bytes.length,
    ...(isConditional && { IfNoneMatch: '*' }),
    ...(algorithm && { ChecksumAlgorithm: algorithm }),
    ...(config.checksum === 'md5' && { ContentMD5: digest.toString('base64') }),
  });
  let answer;
  try {
    answer = await bucket.raw(signal, (sending) => bucket.client.send(command, sending), bytes.length);
  } catch (thrown) {
    if (isConditional && isTaken(thrown)) return false;
    throw translateS3Error(thrown, bucket, 'Storing an object');
  }
  // Every S3 server returns an ETag; without one there is no proof that the object exists.
  const { ETag: etag } = answer;
  const isToBeSeen = config.verify !== 'none' && config.existing === 'compare';
  if (etag === undefined && !isToBeSeen) throw notS3(bucket.host, 'Storing an object');
  if (config.verify !== 'answer' || !provesContent(answer, tally)) {
    await verifyObject(bucket, key, tally, signal, { etag, before });
  }
  if (etag !== undefined) answered?.(etag);
  return true;
}
