import { DispatchError } from '@dicom-dispatch/core';
import { readIdentity, type InstanceIdentity } from '../conflict/index.ts';
import type { InstanceBytes } from '@dicom-dispatch/target-kit';

/** What was asked for, as far as it is known where an instance comes. */
export interface AskedInstance {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid?: string | undefined;
}

/**
 * The same bytes, once their head has shown that they are the instance that was asked for: a cache in front of a target may
 * mix answers up, and a target that has a SOP Instance UID in two studies may give the other one. What cannot be read as DICOM is
 * passed on as it is.
 *
 * @throws {DispatchError} `target-error` when it is another instance
 */
export async function expectInstance(asked: AskedInstance, bytes: InstanceBytes): Promise<InstanceBytes> {
  const { identity, whole, giveUp } = await peekIdentity(bytes);
  const difference = identity && differenceOf(asked, identity);
  if (difference === undefined) return whole;
  await giveUp();
  throw new DispatchError('target-error', `the target sent ${difference} than requested`);
}

export interface PeekedInstance {
  /** Undefined where it cannot be read as DICOM. */
  readonly identity: InstanceIdentity | undefined;
  /** The bytes, with those that were looked at. */
  readonly whole: InstanceBytes;
  /** Ends the body where it is not wanted. */
  giveUp(): Promise<void>;
}

/** Looks at the head of an instance. @throws what the body throws */
export async function peekIdentity({ sizeBytes, body }: InstanceBytes): Promise<PeekedInstance> {
  const iterator = body[Symbol.asyncIterator]();
  const seen: Uint8Array[] = [];
  // Whoever looks at the head must not end the body.
  const head: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      async next() {
        const step = await iterator.next();
        if (!step.done) seen.push(step.value);
        return step;
      },
    }),
  };
  return {
    identity: await readIdentity(head),
    whole: { sizeBytes, body: joined(seen, iterator) },
    giveUp: async () => void (await iterator.return?.()),
  };
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
