import { CompleteMultipartUploadCommand, UploadPartCommand, type CompletedPart, type Part } from '@aws-sdk/client-s3';
import type { ManifestInstance, RunState } from '../contract/index.ts';
import type { Permits } from '../flow/index.ts';
import type { Bucket } from './bucket.ts';
import { isNotThere, translateS3Error } from './errors.ts';
import { etagOf, verifyObject } from './look-at-object.ts';
import { checksumAlgorithm, type ObjectOptions } from './object-options.ts';
import type { PartPool } from './part-pool.ts';
import { Tally } from './parts.ts';
import { forgetUpload, resumeUpload, type Upload } from './resume-upload.ts';

export interface PartsToUpload {
  readonly instance: ManifestInstance;
  readonly key: string;
  readonly partBytes: number;
  readonly options: ObjectOptions;
  readonly parts: AsyncIterable<Buffer>;
}

export interface UploadContext {
  readonly bucket: Bucket;
  readonly state: RunState;
  /** Bounds the requests of all uploads of a delivery together. */
  readonly permits: Permits;
  /** Bounds the memory of their parts. */
  readonly pool: PartPool;
  readonly signal: AbortSignal;
}

/**
 * Makes an object in parts, several at a time. Parts that an earlier attempt has sent, and that have the same size and
 * MD5, are not sent again. A failed upload is kept for the next attempt.
 *
 * @returns how many parts were there already
 */
export async function uploadParts(context: UploadContext, wanted: PartsToUpload): Promise<number> {
  const { bucket, state } = context;
  const upload = await resumeUpload(bucket, state, wanted.instance, wanted, context.signal);
  const tally = new Tally();
  const { completed, kept } = await sendParts(context, wanted, upload, tally);
  await completeUpload(context, wanted, upload, completed);
  await forgetUpload(state, wanted.instance);
  await verifyObject(bucket, wanted.key, tally, context.signal);
  return kept;
}

async function sendParts(
  context: UploadContext,
  wanted: PartsToUpload,
  upload: Upload,
  tally: Tally,
): Promise<{ completed: CompletedPart[]; kept: number }> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const completed: CompletedPart[] = [];
  const underWay = new Set<Promise<void>>();
  let kept = 0;
  let partNumber = 0;

  /** Gives the part back. What it throws stops the others and is told at the end. */
  async function sendOne(number: number, part: Buffer, digest: Buffer): Promise<void> {
    try {
      const send = () => sendPart({ ...context, signal }, wanted.key, upload.uploadId, number, part, digest);
      completed.push(await context.permits.with(signal, send));
      context.pool.giveBack(part);
    } catch (thrown) {
      context.pool.giveUp();
      stop.abort(thrown);
    }
  }

  try {
    for await (const part of wanted.parts) {
      partNumber += 1;
      const number = partNumber;
      const digest = tally.add(part);
      const there = upload.parts.get(number);
      if (there && there.Size === part.length && etagOf(there.ETag) === digest.toString('hex')) {
        kept += 1;
        completed.push(completedPart(number, there));
        context.pool.giveBack(part);
        continue;
      }
      if (signal.aborted) {
        context.pool.giveBack(part);
        break;
      }
      const tracked = sendOne(number, part, digest).finally(() => underWay.delete(tracked));
      underWay.add(tracked);
    }
    await Promise.all(underWay);
    signal.throwIfAborted();
  } catch (thrown) {
    // What failed first is told, and nothing is under way when this ends.
    stop.abort(thrown);
    await Promise.all(underWay);
    throw stop.signal.reason;
  }
  return { completed: completed.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0)), kept };
}

async function sendPart(
  { bucket, signal }: UploadContext,
  key: string,
  uploadId: string,
  number: number,
  part: Buffer,
  digest: Buffer,
): Promise<CompletedPart> {
  const algorithm = checksumAlgorithm(bucket.config);
  const command = new UploadPartCommand({
    Bucket: bucket.name,
    Key: key,
    UploadId: uploadId,
    PartNumber: number,
    Body: part,
    ContentLength: part.length,
    ...(algorithm && { ChecksumAlgorithm: algorithm }),
    ...(bucket.config.checksum === 'md5' && { ContentMD5: digest.toString('base64') }),
  });
  const answer = await bucket.act('Storing a part', signal, (sending) => bucket.client.send(command, sending));
  return completedPart(number, answer);
}

type PartFacts = Pick<Part, 'ETag' | 'ChecksumCRC32' | 'ChecksumCRC32C' | 'ChecksumSHA1' | 'ChecksumSHA256'>;

function completedPart(number: number, facts: PartFacts): CompletedPart {
  const { ETag, ChecksumCRC32, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 } = facts;
  return { PartNumber: number, ETag, ChecksumCRC32, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 };
}

async function completeUpload(
  { bucket, state, signal }: UploadContext,
  { key, instance }: PartsToUpload,
  { uploadId }: Upload,
  parts: CompletedPart[],
): Promise<void> {
  const command = new CompleteMultipartUploadCommand({
    Bucket: bucket.name,
    Key: key,
    UploadId: uploadId,
    MultipartUpload: { Parts: parts },
  });
  try {
    await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
  } catch (thrown) {
    // The upload, or a part of it, is not there any more: the next attempt begins anew.
    const lost = thrown instanceof Error && ['InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'].includes(thrown.name);
    if (lost || isNotThere(thrown)) await forgetUpload(state, instance);
    throw translateS3Error(thrown, bucket.host, 'Completing an upload in parts');
  }
}
