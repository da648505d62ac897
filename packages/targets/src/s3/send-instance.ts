import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import { maxIdentityBytes } from '../conflict/index.ts';
import type { DeliveryRun, InstanceBytes, ManifestInstance } from '@dicom-dispatch/target-kit';
import { borrowed, joined, metered, peeked, type OpenedInstance } from '@dicom-dispatch/target-kit/flow';
import { judgeObject } from './judge-object.ts';
import { compareObject, looksLikeMd5 } from './look-at-object.ts';
import { partsOf, partSizeFor, Tally } from './parts.ts';
import { putObject, whatHasKey, type KnownKeys, type ObjectToSend, type Stored } from './put-object.ts';
import type { S3Target } from './schema.ts';
import { uploadParts, type UploadContext } from './upload-parts.ts';

/** Sends one instance, in one request or in parts. */
export async function sendInstance(
  run: DeliveryRun<S3Target>,
  context: UploadContext,
  known: KnownKeys,
  { instance, bytes }: OpenedInstance,
  object: ObjectToSend,
): Promise<Stored> {
  const { bucket, signal } = context;
  // If a transform does not announce the length of its result, the actual length counts.
  const partBytes = partSizeFor(bytes.sizeBytes ?? instance.sizeBytes, run.config.partSize);
  const gathered = await gather(bytes, partBytes);
  if ('whole' in gathered) {
    const { whole } = gathered;
    const stored = await context.permits.with(signal, () => putObject(bucket, known, object, whole, signal));
    // Not after an error: an abandoned request may still read the bytes.
    gathered.release();
    return stored;
  }
  return sendParts(run, context, known, instance, { ...bytes, body: gathered.body }, object);
}

async function sendParts(
  run: DeliveryRun<S3Target>,
  context: UploadContext,
  known: KnownKeys,
  instance: ManifestInstance,
  bytes: InstanceBytes,
  object: ObjectToSend,
): Promise<Stored> {
  const { bucket, signal } = context;
  const sizeBytes = bytes.sizeBytes ?? instance.sizeBytes;
  const partBytes = partSizeFor(sizeBytes, run.config.partSize);
  const found = await whatHasKey(bucket, known, object.key, signal);
  if (found && (await isSame(run, context, instance, found, partBytes))) return 'same';
  const { head, body } = await peeked(borrowed(bytes), found ? maxIdentityBytes : 0);
  if (found) await judgeObject(bucket, found, object, head, signal);
  const { keptParts } = await uploadParts(context, known, {
    ...object,
    instance,
    partBytes,
    sizeBytes: bytes.sizeBytes,
    parts: partsOf(body, partBytes, sizeBytes, context.pool.memory(signal)),
    found,
  });
  if (keptParts > 0) run.log.info('upload resumed', { sopInstanceUid: instance.sopInstanceUid, partsKept: keptParts });
  return found ? 'replaced' : 'new';
}

export type Gathered =
  | { readonly whole: Buffer; release(): void }
  /** The complete body of an instance that does not fit into one part. */
  | { readonly body: AsyncIterable<Uint8Array> };

/**
 * The bytes of an instance that fits into one part. If they arrive in one chunk, it is this chunk.
 *
 * @throws {DispatchError} `source-error` if there are more or fewer than announced by the source
 */
export async function gather({ body, sizeBytes, releaseChunk }: InstanceBytes, partBytes: number): Promise<Gathered> {
  if (sizeBytes !== undefined && sizeBytes > partBytes) return { body };
  const iterator = body[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let count = 0;
  for (let step = await iterator.next(); !step.done; step = await iterator.next()) {
    chunks.push(step.value);
    count += step.value.byteLength;
    if (count <= partBytes) continue;
    if (sizeBytes === undefined) return { body: joined(chunks, iterator) };
    await iterator.return?.();
    throw new DispatchError('source-error', 'the source sent more bytes of an instance than it announced');
  }
  if (sizeBytes !== undefined && count !== sizeBytes)
    throw new DispatchError('source-error', `the source sent ${count} of ${sizeBytes} bytes of an instance`);
  const [first] = chunks;
  if (first && chunks.length === 1) {
    return {
      whole: Buffer.from(first.buffer, first.byteOffset, first.byteLength),
      release: () => releaseChunk?.(first),
    };
  }
  const whole = Buffer.concat(chunks, count);
  for (const chunk of chunks) releaseChunk?.(chunk);
  return { whole, release() {} };
}

/**
 * Whether a large object already exists with the same content. If its size is the same, the instance is read for this, in addition
 * to reading it for sending.
 */
async function isSame(
  run: DeliveryRun<S3Target>,
  { signal }: UploadContext,
  instance: ManifestInstance,
  found: HeadObjectCommandOutput,
  partBytes: number,
): Promise<boolean> {
  if (found.ContentLength !== instance.sizeBytes) return false;
  const bytes = metered(await run.open(instance, { signal }), { sent: () => {}, signal });
  const tally = new Tally({ whole: looksLikeMd5(found.ETag) });
  // No part is kept: one buffer is sufficient for all.
  const once = Buffer.allocUnsafeSlow(partBytes);
  const memory = { take: (count: number) => once.subarray(0, count), releasePart() {} };
  try {
    for await (const part of partsOf(borrowed(bytes), partBytes, instance.sizeBytes, memory)) tally.add(part);
  } catch (thrown) {
    throw bytes.readError ?? thrown;
  } finally {
    await bytes.release();
  }
  return compareObject(found, tally) === 'same';
}
