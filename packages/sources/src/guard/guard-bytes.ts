import type { InstanceBytes } from '@dicom-dispatch/core';
import { GuardedBody } from './guarded-body.ts';
import { sizeDeviation, type GuardOptions, type OfferedBytes } from './guard-options.ts';
import { asGuarded, type GuardedBytes } from './guarded-bytes.ts';
import { part10Header } from './part10-header.ts';

/**
 * The single check between any source of bytes and their readers. Size and identity are always checked;
 * a deviation fails the stream before its end, with the last bytes held back, so that the instance cannot be completed.
 */
export async function guardBytes(offered: OfferedBytes, options: GuardOptions): Promise<GuardedBytes> {
  const { expected, asPart10 = false } = options;
  const body = new GuardedBody(offered, options);
  const announced = offered.sizeBytes;
  const isWrong = expected.sizeBytes !== undefined && announced !== undefined && announced !== expected.sizeBytes;
  if (isWrong || announced === 0) await body.refuse(sizeDeviation(expected, announced));
  const sizeBytes = expected.sizeBytes ?? announced;
  if (!asPart10) return asGuarded(bytesOf(sizeBytes, body, offered));
  const head = await body.readHead();
  if (head === undefined || (head.form === 'part10' && head.hasRightLength)) {
    return asGuarded(bytesOf(sizeBytes, body, offered));
  }
  const header = part10Header(head, expected);
  body.replaceHead(head.dataSetAt, header);
  return asGuarded(
    bytesOf(sizeBytes === undefined ? undefined : sizeBytes - head.dataSetAt + header.length, body, offered),
  );
}

function bytesOf(sizeBytes: number | undefined, body: GuardedBody, { releaseChunk }: OfferedBytes): InstanceBytes {
  return { sizeBytes, body, ...(releaseChunk && { releaseChunk }) };
}
