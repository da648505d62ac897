import { asDispatchError, type DispatchError } from '@dicom-dispatch/core';
import type { InstanceBytes } from '../contract/index.ts';
import { until } from './waiting.ts';

/** The bytes of an instance on their way to the target: counted, rate limited, and aborted by the signal. */
export interface MeteredBytes extends InstanceBytes {
  /** Number of bytes returned so far. */
  readonly readBytes: number;
  /** Why reading ended early, as thrown by the source or the meter: a library in between may have wrapped or lost it. */
  readonly readError: DispatchError | undefined;
  /** Closes the source's connection if the body is not read, or not completely. */
  release(): Promise<void>;
}

export interface Meter {
  sent(bytes: number): Promise<void> | void;
  readonly signal: AbortSignal;
}

/** Wraps the result of `open`: each chunk waits for `sent`, and reading ends when the signal aborts. */
export function metered(bytes: InstanceBytes, { sent, signal }: Meter): MeteredBytes {
  const iterator = bytes.body[Symbol.asyncIterator]();
  let readBytes = 0;
  let readError: DispatchError | undefined;
  let released: Promise<void> | undefined;
  bytes.room?.keep();

  async function next(): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      const result = await until(iterator.next(), signal);
      if (result.done) return { done: true, value: undefined };
      const mayGoOn = sent(result.value.byteLength);
      if (mayGoOn) await until(mayGoOn, signal);
      readBytes += result.value.byteLength;
      return { done: false, value: result.value };
    } catch (thrown) {
      readError = asDispatchError(thrown);
      throw readError;
    }
  }

  function release(): Promise<void> {
    released ??= letGo(bytes.body, iterator);
    bytes.room?.release();
    return released;
  }

  return {
    sizeBytes: bytes.sizeBytes,
    // Chunks are counted and passed on, never kept.
    ...(bytes.releaseChunk && { releaseChunk: bytes.releaseChunk }),
    body: {
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => {
          await release();
          return { done: true, value: undefined };
        },
      }),
    },
    get readBytes() {
      return readBytes;
    },
    get readError() {
      return readError;
    },
    release,
  };
}

/** A readable stream that was never read must be destroyed: its iterator's `return` does nothing before the first `next`. */
async function letGo(body: AsyncIterable<Uint8Array>, iterator: AsyncIterator<Uint8Array>): Promise<void> {
  if ('destroy' in body && typeof body.destroy === 'function') {
    body.destroy();
    return;
  }
  // A source that hangs in `next` would let `return` wait as well; the signal that was passed to `open` ends it.
  void iterator.return?.()?.then(undefined, () => {});
}
