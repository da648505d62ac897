import { DispatchError } from '@dicom-dispatch/core';
import { readIdentity } from '../conflict/index.ts';
import type { InstanceBytes } from '../contract/index.ts';

/**
 * The same bytes, once their head has shown that they are the instance that was asked for: a cache in front of a target may
 * mix answers up. What cannot be read as DICOM is passed on as it is.
 *
 * @throws {DispatchError} `target-error` when it is another instance
 */
export async function expectInstance(
  sopInstanceUid: string,
  { sizeBytes, body }: InstanceBytes,
): Promise<InstanceBytes> {
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
  const identity = await readIdentity(head);
  if (identity !== undefined && identity.sopInstanceUid !== sopInstanceUid) {
    await iterator.return?.();
    throw new DispatchError('target-error', 'the target gave another instance than it was asked for');
  }
  return { sizeBytes, body: joined(seen, iterator) };
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
