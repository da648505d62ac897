import { DispatchError } from '@dicom-dispatch/core';
import { readIdentity, type InstanceIdentity } from '../conflict/index.ts';
import type { InstanceBytes } from '@dicom-dispatch/target-kit';

/** The UIDs of a requested instance, as far as they are known. */
export interface AskedInstance {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid?: string | undefined;
}

/**
 * The same bytes, after their header has shown that they are the requested instance: a cache in front of a target may
 * mix up responses, and a target that has a SOP Instance UID in two studies may return the wrong one. A DICOM file whose header
 * cannot be parsed is passed on unchanged.
 *
 * @throws {DispatchError} `target-error` if it is another instance, or no DICOM file
 */
export async function expectInstance(asked: AskedInstance, bytes: InstanceBytes): Promise<InstanceBytes> {
  const { identity, isDicom, whole, giveUp } = await peekIdentity(bytes);
  const difference = identity && differenceOf(asked, identity);
  if (isDicom && difference === undefined) return whole;
  await giveUp();
  throw new DispatchError(
    'target-error',
    difference ? `the target sent ${difference} than requested` : 'the target sent content that is no DICOM file',
  );
}

export interface PeekedInstance {
  /** Undefined if it cannot be parsed as DICOM. */
  readonly identity: InstanceIdentity | undefined;
  /** Whether the body begins as a DICOM file, with or without a preamble. */
  readonly isDicom: boolean;
  /** The bytes, including the inspected ones. */
  readonly whole: InstanceBytes;
  /** Ends an unwanted body. */
  giveUp(): Promise<void>;
}

/** Inspects the header of an instance. @throws errors of the body */
export async function peekIdentity({ sizeBytes, body }: InstanceBytes): Promise<PeekedInstance> {
  const iterator = body[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  // Inspecting the header must not end the body.
  const head: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const step = await iterator.next();
        if (!step.done) seen.push(step.value);
        return step;
      },
    }),
  };
  const identity = await readIdentity(head);
  return {
    identity,
    isDicom: identity !== undefined || beginsAsDicom(seen),
    whole: { sizeBytes, body: joined(seen, iterator) },
    giveUp: async () => void (await iterator.return?.()),
  };
}

/** PS3.10 section 7.1; without a preamble a data set begins with an element of group 0002 or 0008. */
function beginsAsDicom(chunks: readonly Uint8Array[]): boolean {
  let bytes = Buffer.alloc(0);
  for (const chunk of chunks) {
    if (bytes.length >= 132) break;
    bytes = Buffer.concat([bytes, chunk.subarray(0, 132)]);
  }
  const group = bytes.length > 1 ? bytes.readUInt16LE() : 0;
  return bytes.toString('latin1', 128, 132) === 'DICM' || group === 0x0002 || group === 0x0008;
}

async function* joined(
  seen: readonly Uint8Array[],
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* seen;
    for (let step = await iterator.next(); !step.done; step = await iterator.next()) yield step.value;
  } finally {
    await iterator.return?.();
  }
}

function differenceOf(asked: AskedInstance, came: InstanceIdentity): string | undefined {
  if (came.sopInstanceUid !== asked.sopInstanceUid) return 'another instance';
  if (came.studyInstanceUid !== asked.studyInstanceUid) return 'an instance of another study with the same UID';
  const isOtherSeries = asked.seriesInstanceUid !== undefined && came.seriesInstanceUid !== asked.seriesInstanceUid;
  return isOtherSeries ? 'an instance of another series with the same UID' : undefined;
}
