import { DimseError } from '../errors/dimse-error.ts';

/**
 * A source of bytes: a file stream, an HTTP body, buffers. Chunks are passed on without a copy, so a source must not
 * change a chunk after it has yielded it.
 */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array> | Uint8Array;

/** A cursor over a source that returns values without a promise if the source can. */
export interface ByteCursor {
  readonly isSync: boolean;
  /** The next non-empty chunk; undefined at the end. */
  next(): Buffer | undefined | Promise<Buffer | undefined>;
  /** Closes the source; resolves when it is closed. Its errors are ignored. */
  close(): Promise<void>;
}

export function toBuffer(chunk: Uint8Array): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk;
  if (!(chunk instanceof Uint8Array)) {
    throw new DimseError('source-failed', `the source yielded ${typeof chunk}; it must yield Uint8Array`);
  }
  return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

export function openSource(source: ByteSource): ByteCursor {
  if (source instanceof Uint8Array) return syncCursor([source][Symbol.iterator]());
  if (Symbol.asyncIterator in source) return asyncCursor(source[Symbol.asyncIterator]());
  return syncCursor(source[Symbol.iterator]());
}

function syncCursor(iterator: Iterator<Uint8Array>): ByteCursor {
  let isDone = false;
  return {
    isSync: true,
    next() {
      for (;;) {
        if (isDone) return undefined;
        const step = pull(iterator);
        if (step.done === true) {
          isDone = true;
          return undefined;
        }
        if (step.value.length > 0) return toBuffer(step.value);
      }
    },
    async close() {
      if (isDone) return;
      isDone = true;
      try {
        iterator.return?.();
      } catch {
        // The source is no longer needed, and its errors are ignored.
      }
    },
  };
}

function pull(iterator: Iterator<Uint8Array>): IteratorResult<Uint8Array> {
  try {
    return iterator.next();
  } catch (cause) {
    throw sourceFailed(cause);
  }
}

function asyncCursor(iterator: AsyncIterator<Uint8Array>): ByteCursor {
  let isDone = false;
  return {
    isSync: false,
    async next() {
      for (;;) {
        if (isDone) return undefined;
        let step: IteratorResult<Uint8Array>;
        try {
          step = await iterator.next();
        } catch (cause) {
          isDone = true;
          throw sourceFailed(cause);
        }
        if (step.done === true) {
          isDone = true;
          return undefined;
        }
        if (step.value.length > 0) return toBuffer(step.value);
      }
    },
    async close() {
      if (isDone) return;
      isDone = true;
      try {
        await iterator.return?.();
      } catch {
        // The source is no longer needed.
      }
    },
  };
}

function sourceFailed(cause: unknown): DimseError {
  if (cause instanceof DimseError) return cause;
  return new DimseError('source-failed', 'reading the source of the instance failed', { cause });
}
