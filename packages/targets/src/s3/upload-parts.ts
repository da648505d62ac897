import { UploadPartCommand, type CompletedPart, type HeadObjectCommandOutput, type Part } from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import type { ManifestInstance, RunState } from '@dicom-dispatch/target-kit';
import type { Permits } from '@dicom-dispatch/target-kit/flow';
import type { Bucket } from './bucket.ts';
import { completeUpload } from './complete-upload.ts';
import { judgeObject } from './judge-object.ts';
import { compareObject, etagOf, lookAtObject, verifyObject } from './look-at-object.ts';
import { checksumAlgorithm } from './object-options.ts';
import type { PartPool } from './part-pool.ts';
import { Tally } from './parts.ts';
import { maxRounds, takenAgain, whatHasKey, type KnownKeys, type ObjectToSend } from './put-object.ts';
import { dropUpload, forgetUpload, resumeUpload, type Upload } from './resume-upload.ts';

export interface PartsToUpload extends ObjectToSend {
  readonly instance: ManifestInstance;
  readonly partBytes: number;
  /** Size as announced by the source; undefined if unknown. */
  readonly sizeBytes: number | undefined;
  readonly parts: AsyncIterable<Buffer>;
  /** The object that has the key and may be replaced. */
  readonly found: HeadObjectCommandOutput | undefined;
}

export interface UploadContext {
  readonly bucket: Bucket;
  readonly state: RunState;
  /** Limits the requests of all uploads of a delivery together. */
  readonly permits: Permits;
  /** Limits the memory of their parts. */
  readonly pool: PartPool;
  readonly signal: AbortSignal;
}

/** These first bytes of an instance are sufficient to identify it. */
const headBytes = 64 * 1024;

/**
 * Creates an object in parts, several in parallel. Parts that an earlier attempt has sent, with the same size and MD5, are not sent
 * again. A failed upload is kept for the next attempt.
 *
 * @throws {DispatchError} `source-error` if the source returned more or fewer bytes than announced
 */
export async function uploadParts(
  context: UploadContext,
  known: KnownKeys,
  wanted: PartsToUpload,
): Promise<{ /** Number of parts that the server already had. */ readonly keptParts: number }> {
  const { bucket, state, signal } = context;
  const upload = await resumeUpload(bucket, state, wanted.instance, wanted, signal);
  const tally = new Tally();
  const { completed, kept, head } = await sendParts(context, wanted, upload, tally);
  // The object is created only after the source has returned all bytes.
  if (wanted.sizeBytes !== undefined && tally.sizeBytes !== wanted.sizeBytes) {
    throw new DispatchError(
      'source-error',
      `the source sent ${tally.sizeBytes} of ${wanted.sizeBytes} bytes of an instance`,
    );
  }
  await known.inUse.with(wanted.key, signal, () => finish(context, known, wanted, upload, completed, tally, head));
  return { keptParts: kept };
}

async function finish(
  { bucket, state, signal }: UploadContext,
  known: KnownKeys,
  wanted: PartsToUpload,
  { uploadId }: Upload,
  parts: readonly CompletedPart[],
  tally: Tally,
  head: Buffer,
): Promise<void> {
  const { key, instance, answered } = wanted;
  let { found } = wanted;
  const judgeAnew = async (now: HeadObjectCommandOutput | undefined): Promise<boolean> => {
    if (now && compareObject(now, tally) === 'same') {
      await dropUpload(bucket, state, instance, signal);
      return true;
    }
    if (now) await judgeObject(bucket, now, wanted, head, signal);
    found = now;
    return false;
  };
  if (known.inUse.isContended) {
    const now = await whatHasKey(bucket, known, key, signal);
    if (etagOf(now?.ETag) !== etagOf(found?.ETag) && (await judgeAnew(now))) return;
  }
  for (let round = 1; ; round += 1) {
    if (await completeUpload({ bucket, state, instance, key, uploadId, parts, tally, found, answered }, signal)) break;
    if (round === maxRounds) throw takenAgain(bucket);
    if (await judgeAnew(await lookAtObject(bucket, key, signal))) return;
  }
  await forgetUpload(state, instance);
  await verifyObject(bucket, key, tally, signal);
}

async function sendParts(
  context: UploadContext,
  wanted: PartsToUpload,
  upload: Upload,
  tally: Tally,
): Promise<{ completed: CompletedPart[]; kept: number; head: Buffer }> {
  const stop = new AbortController();
  const signal = AbortSignal.any([context.signal, stop.signal]);
  const completed: CompletedPart[] = [];
  const underWay = new Set<Promise<void>>();
  let kept = 0;
  let partNumber = 0;
  let head = Buffer.alloc(0);

  /** Releases the part. Its error stops the others and is reported at the end. */
  async function sendOne(number: number, part: Buffer, digest: Buffer): Promise<void> {
    try {
      const send = () => sendPart({ ...context, signal }, wanted.key, upload.uploadId, number, part, digest);
      completed.push(await context.permits.with(signal, send));
      context.pool.releasePart(part);
    } catch (thrown) {
      context.pool.giveUp(part);
      stop.abort(thrown);
    }
  }

  try {
    for await (const part of wanted.parts) {
      partNumber += 1;
      const number = partNumber;
      if (number === 1) head = Buffer.from(part.subarray(0, headBytes));
      const digest = tally.add(part);
      const there = upload.parts.get(number);
      if (there && there.Size === part.length && etagOf(there.ETag) === digest.toString('hex')) {
        kept += 1;
        completed.push(completedPart(number, there));
        context.pool.releasePart(part);
        continue;
      }
      if (signal.aborted) {
        context.pool.releasePart(part);
        break;
      }
      const tracked = sendOne(number, part, digest).finally(() => underWay.delete(tracked));
      underWay.add(tracked);
    }
    await Promise.all(underWay);
    signal.throwIfAborted();
  } catch (thrown) {
    // The first error is reported, and nothing is running when this ends.
    stop.abort(thrown);
    await Promise.all(underWay);
    throw stop.signal.reason;
  }
  return { completed: completed.sort((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0)), kept, head };
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
  const answer = await bucket.act(
    'Storing a part',
    signal,
    (sending) => bucket.client.send(command, sending),
    part.length,
  );
  return completedPart(number, answer);
}

type PartFacts = Pick<Part, 'ETag' | 'ChecksumCRC32' | 'ChecksumCRC32C' | 'ChecksumSHA1' | 'ChecksumSHA256'>;

function completedPart(number: number, facts: PartFacts): CompletedPart {
  const { ETag, ChecksumCRC32, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 } = facts;
  return { PartNumber: number, ETag, ChecksumCRC32, ChecksumCRC32C, ChecksumSHA1, ChecksumSHA256 };
}
