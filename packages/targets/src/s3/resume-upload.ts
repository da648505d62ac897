import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListPartsCommand,
  type Part,
} from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import type { ManifestInstance, RunState } from '@dicom-dispatch/target-kit';
import type { Bucket } from './bucket.ts';
import { isNotThere, translateS3Error } from './errors.ts';
import { checksumAlgorithm, type ObjectOptions } from './object-options.ts';

/** An unfinished upload as stored with the delivery. */
interface KeptUpload {
  readonly uploadId: string;
  readonly key: string;
  readonly partBytes: number;
  /** Version of the instance: another version has other bytes. */
  readonly version: string;
}

export interface Upload {
  readonly uploadId: string;
  /** Parts that the server already has, by part number. */
  readonly parts: ReadonlyMap<number, Part>;
}

const stateKey = ({ sourceId }: ManifestInstance): string => `upload:${sourceId}`;

/** The unfinished upload of an earlier attempt, if the server still has it, otherwise a new one. */
export async function resumeUpload(
  bucket: Bucket,
  state: RunState,
  instance: ManifestInstance,
  wanted: { readonly key: string; readonly partBytes: number; readonly options: ObjectOptions },
  signal: AbortSignal,
): Promise<Upload> {
  const kept = await state.get<KeptUpload>(stateKey(instance));
  if (kept) {
    const fits = kept.key === wanted.key && kept.partBytes === wanted.partBytes && kept.version === instance.version;
    const parts = fits ? await listParts(bucket, kept, signal) : undefined;
    if (parts) return { uploadId: kept.uploadId, parts };
    await abortUpload(bucket, kept, signal);
  }
  const algorithm = checksumAlgorithm(bucket.config);
  const command = new CreateMultipartUploadCommand({
    ...wanted.options,
    Bucket: bucket.name,
    Key: wanted.key,
    ...(algorithm && { ChecksumAlgorithm: algorithm }),
  });
  const { UploadId: uploadId } = await bucket.act('Starting a multipart upload', signal, (sending) =>
    bucket.client.send(command, sending),
  );
  if (uploadId === undefined) throw new DispatchError('target-error', `${bucket.host} began an upload without an id`);
  const keep: KeptUpload = { uploadId, key: wanted.key, partBytes: wanted.partBytes, version: instance.version };
  await state.set(stateKey(instance), keep);
  return { uploadId, parts: new Map() };
}

export function forgetUpload(state: RunState, instance: ManifestInstance): Promise<void> {
  return state.delete(stateKey(instance));
}

/** Aborts an unfinished upload, whose parts occupy space until then. */
export async function dropUpload(
  bucket: Bucket,
  state: RunState,
  instance: ManifestInstance,
  signal: AbortSignal,
): Promise<void> {
  const kept = await state.get<KeptUpload>(stateKey(instance));
  if (!kept) return;
  await abortUpload(bucket, kept, signal);
  await forgetUpload(state, instance);
}

async function abortUpload(bucket: Bucket, kept: KeptUpload, signal: AbortSignal): Promise<void> {
  const command = new AbortMultipartUploadCommand({ Bucket: bucket.name, Key: kept.key, UploadId: kept.uploadId });
  try {
    await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
  } catch (thrown) {
    if (!isNotThere(thrown)) throw translateS3Error(thrown, bucket, 'Aborting an upload');
  }
}

async function listParts(
  bucket: Bucket,
  kept: KeptUpload,
  signal: AbortSignal,
): Promise<Map<number, Part> | undefined> {
  const parts = new Map<number, Part>();
  let marker: string | undefined;
  do {
    const command = new ListPartsCommand({
      Bucket: bucket.name,
      Key: kept.key,
      UploadId: kept.uploadId,
      ...(marker !== undefined && { PartNumberMarker: marker }),
    });
    try {
      const page = await bucket.raw(signal, (sending) => bucket.client.send(command, sending));
      for (const part of page.Parts ?? []) if (part.PartNumber !== undefined) parts.set(part.PartNumber, part);
      marker = page.IsTruncated ? page.NextPartNumberMarker : undefined;
    } catch (thrown) {
      if (isNotThere(thrown)) return undefined;
      throw translateS3Error(thrown, bucket, 'Listing the parts of an upload');
    }
  } while (marker !== undefined);
  return parts;
}
