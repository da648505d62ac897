import { DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, InstanceBytes, ManifestInstance } from '../contract/index.ts';
import { borrowed, metered, type OpenedInstance } from '../flow/index.ts';
import { compareObject, lookAtObject } from './look-at-object.ts';
import { partsOf, partSizeFor, Tally } from './parts.ts';
import { putObject, type ObjectToSend } from './put-object.ts';
import type { S3Target } from './schema.ts';
import { uploadParts, type UploadContext } from './upload-parts.ts';

/** Sends one instance, in one request or in parts. */
export async function sendInstance(
  run: DeliveryRun<S3Target>,
  context: UploadContext,
  { instance, bytes }: OpenedInstance,
  object: ObjectToSend,
): Promise<void> {
  const { key, options, compare } = object;
  const sizeBytes = bytes.sizeBytes ?? instance.sizeBytes;
  const partBytes = partSizeFor(sizeBytes, run.config.partSize);
  if (sizeBytes > partBytes) {
    if (compare && (await isThere(run, context, instance, key, partBytes))) return;
    const kept = await uploadParts(context, {
      instance,
      key,
      partBytes,
      options,
      parts: partsOf(borrowed(bytes), partBytes, sizeBytes, context.pool.memory(context.signal)),
    });
    if (kept > 0) run.log.info('upload resumed', { sopInstanceUid: instance.sopInstanceUid, partsKept: kept });
    return;
  }
  const whole = await gather(bytes, partBytes);
  await context.permits.with(context.signal, () => putObject(context.bucket, object, whole.bytes, context.signal));
  // Only now: a request that was given up may still be on its way with them.
  whole.release();
}

/**
 * The bytes of an instance that fits in one part. Where they come in one chunk, it is that chunk.
 *
 * @throws {DispatchError} `source-error` when there are more or fewer than the source said
 */
async function gather(
  { body, sizeBytes, giveBack }: InstanceBytes,
  mostBytes: number,
): Promise<{ bytes: Buffer; release(): void }> {
  const chunks: Uint8Array[] = [];
  let count = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    count += chunk.byteLength;
    if (count > mostBytes) throw new DispatchError('source-error', 'the source gave more of an instance than it said');
  }
  if (sizeBytes !== undefined && count !== sizeBytes)
    throw new DispatchError('source-error', `the source gave ${count} of ${sizeBytes} bytes of an instance`);
  const [first] = chunks;
  if (first && chunks.length === 1) {
    return {
      bytes: Buffer.from(first.buffer, first.byteOffset, first.byteLength),
      release: () => giveBack?.(first),
    };
  }
  const bytes = Buffer.concat(chunks, count);
  for (const chunk of chunks) giveBack?.(chunk);
  return { bytes, release() {} };
}

/**
 * Whether a large object is there already with the same content. Only where its size is the same is the instance read
 * for this, once more than for sending.
 */
async function isThere(
  run: DeliveryRun<S3Target>,
  { bucket, signal }: UploadContext,
  instance: ManifestInstance,
  key: string,
  partBytes: number,
): Promise<boolean> {
  const found = await lookAtObject(bucket, key, signal, { forbiddenIsMissing: true });
  if (!found || found.ContentLength !== instance.sizeBytes) return false;
  const bytes = metered(await run.open(instance, { signal }), { sent: () => {}, signal });
  const tally = new Tally();
  // No part is kept: one piece of memory will do for all.
  const once = Buffer.allocUnsafeSlow(partBytes);
  const memory = { take: (count: number) => once.subarray(0, count), giveBack() {} };
  try {
    for await (const part of partsOf(borrowed(bytes), partBytes, instance.sizeBytes, memory)) tally.add(part);
  } catch (thrown) {
    throw bytes.readError ?? thrown;
  } finally {
    await bytes.release();
  }
  return compareObject(found, tally) === 'same';
}
