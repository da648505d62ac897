import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { metered, type OpenedInstance } from '../flow/index.ts';
import { compareObject, lookAtObject } from './look-at-object.ts';
import type { ObjectOptions } from './object-options.ts';
import { partsOf, partSizeFor, Tally } from './parts.ts';
import { putObject } from './put-object.ts';
import type { S3Target } from './schema.ts';
import { uploadParts, type UploadContext } from './upload-parts.ts';

export interface ObjectToSend {
  readonly key: string;
  readonly options: ObjectOptions;
}

/** Sends one instance, in one request or in parts. */
export async function sendInstance(
  run: DeliveryRun<S3Target>,
  context: UploadContext,
  { instance, bytes }: OpenedInstance,
  { key, options }: ObjectToSend,
): Promise<void> {
  const sizeBytes = bytes.sizeBytes ?? instance.sizeBytes;
  const partBytes = partSizeFor(sizeBytes, run.config.partSize);
  if (sizeBytes > partBytes) {
    if (run.config.existing === 'compare' && (await isThere(run, context, instance, key, partBytes))) return;
    const kept = await uploadParts(context, {
      instance,
      key,
      partBytes,
      options,
      parts: partsOf(bytes.body, partBytes, sizeBytes),
    });
    if (kept > 0) run.log.info('upload resumed', { sopInstanceUid: instance.sopInstanceUid, partsKept: kept });
    return;
  }
  // The source said that it fits in one part; what is more than that is an error of the source.
  const whole: Buffer[] = [];
  for await (const part of partsOf(bytes.body, partBytes, sizeBytes)) whole.push(part);
  await context.permits.with(context.signal, () =>
    putObject(
      context.bucket,
      key,
      whole.length === 1 && whole[0] ? whole[0] : Buffer.concat(whole),
      options,
      context.signal,
    ),
  );
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
  try {
    for await (const part of partsOf(bytes.body, partBytes, instance.sizeBytes)) tally.add(part);
  } catch (thrown) {
    throw bytes.readError ?? thrown;
  } finally {
    await bytes.release();
  }
  return compareObject(found, tally) === 'same';
}
