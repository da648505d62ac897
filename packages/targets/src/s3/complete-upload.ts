import { setTimeout as delay } from 'node:timers/promises';
import { CompleteMultipartUploadCommand, type CompletedPart, type HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { ManifestInstance, RunState } from '@dicom-dispatch/target-kit';
import { leavesOpen } from '../http/status-error.ts';
import type { Bucket } from './bucket.ts';
import { isNotThere, isTaken, notS3, s3Status, translateS3Error } from './errors.ts';
import { compareObject, etagOf, hasContent, lookAtObject } from './look-at-object.ts';
import { usesConditions } from './options-in-use.ts';
import type { Tally } from './parts.ts';
import { forgetUpload } from './resume-upload.ts';

export interface UploadToComplete {
  readonly bucket: Bucket;
  readonly state: RunState;
  readonly instance: ManifestInstance;
  readonly key: string;
  readonly uploadId: string;
  readonly parts: readonly CompletedPart[];
  readonly tally: Tally;
  /** The object that had the key before the upload. */
  readonly found: HeadObjectCommandOutput | undefined;
  readonly answered?: ((etag: string) => void) | undefined;
}

const maxTries = 3;
const pauseMs = 300;

/**
 * Creates an object from the sent parts. After an inconclusive response (none, an empty one, a server error, an error with status
 * 200) the bucket is queried; if it does not have the object, the request is repeated.
 *
 * @returns false if another upload used the key in the meantime
 */
export async function completeUpload(upload: UploadToComplete, signal: AbortSignal): Promise<boolean> {
  const { bucket, state, instance } = upload;
  for (let number = 1; ; number += 1) {
    try {
      await complete(upload, signal);
      return true;
    } catch (thrown) {
      if (isTaken(thrown)) return false;
      const isLost = isNotThere(thrown);
      if (!isLost && !isUncertain(thrown)) {
        if (isOfParts(thrown)) await forgetUpload(state, instance);
        throw translateS3Error(thrown, bucket, 'Completing a multipart upload');
      }
      if (await isMade(upload, signal)) return true;
      // The upload no longer exists, and there is no object: the next attempt starts again.
      if (isLost) await forgetUpload(state, instance);
      if (isLost || number >= maxTries) throw translateS3Error(thrown, bucket, 'Completing a multipart upload');
      await delay(pauseMs * number, undefined, { signal });
    }
  }
}

async function complete(upload: UploadToComplete, signal: AbortSignal): Promise<void> {
  const { bucket, key, uploadId, parts, found, answered } = upload;
  const { config } = bucket;
  const isConditional = !found && config.existing === 'compare' && usesConditions(config);
  const command = new CompleteMultipartUploadCommand({
    Bucket: bucket.name,
    Key: key,
    UploadId: uploadId,
    MultipartUpload: { Parts: [...parts] },
    ...(isConditional && { IfNoneMatch: '*' }),
  });
  const answer = await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
  if (answer.ETag === undefined) throw notS3(bucket.host, 'Completing a multipart upload');
  answered?.(answer.ETag);
}

/** The parts on the server differ from ours. */
function isOfParts(thrown: unknown): boolean {
  return thrown instanceof Error && ['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'].includes(thrown.name);
}

/** A response that does not show the state of the object: none, one that is not from S3, or a server error. */
function isUncertain(thrown: unknown): boolean {
  const status = s3Status(thrown);
  return status === undefined || status < 300 || leavesOpen(status) || (status > 501 && status < 600);
}

async function isMade({ bucket, key, tally, found }: UploadToComplete, signal: AbortSignal): Promise<boolean> {
  const now = await lookAtObject(bucket, key, signal, { forbiddenIsMissing: true }).catch(() => undefined);
  if (!now) return false;
  const likeness = compareObject(now, tally);
  if (likeness === 'other-etag') return hasContent(bucket, key, now, tally, signal);
  if (likeness !== 'unknown') return likeness === 'same';
  // Its ETag is not conclusive: the object is ours if the key was free before, or had other content.
  return bucket.config.existing === 'compare' && etagOf(now.ETag) !== etagOf(found?.ETag);
}
