import { putFile, putValue } from './write-value.ts';
import { asBody, lookupStream } from './read-value.ts';
import { tooLarge, type CacheParts } from './cache-parts.ts';
import type { PutOptions } from './cache-types.ts';
import { spool } from './spool.ts';

/** A result for the caller, stored or not. Read `body` to its end, or call `close`. */
export interface ComputedStream {
  /** Undefined if the stream is not stored but passed on as it arrives. */
  readonly sizeBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Produces a stream, stores it, and returns it. If it cannot be stored it is returned nevertheless. If that is only known
 * after it was written to the folder (the folder fails, or the budget is exceeded), it is produced a second time.
 *
 * @throws errors of `produce` or its stream
 */
export async function produceStream(
  parts: CacheParts,
  type: string,
  key: string,
  produce: () => Promise<AsyncIterable<Uint8Array>>,
  options: PutOptions,
): Promise<{ value: ComputedStream; kept: boolean }> {
  const limit = parts.folder ? parts.fileAboveBytes : parts.maxValueBytes;
  const spooled = await spool(await produce(), limit);
  if (spooled.kind === 'whole') {
    const { bytes } = spooled;
    const result = await putValue(parts, type, key, bytes, options);
    const value = { sizeBytes: bytes.byteLength, body: asBody(bytes), close: async () => {} };
    return { value, kept: result === 'stored' || result === 'over-budget' };
  }
  if (!parts.folder) {
    tooLarge(parts, type);
    return { value: unkept(spooled.all), kept: false };
  }
  const result = await putFile(parts, type, key, spooled.all, options);
  if (result === 'stored' || result === 'over-budget') {
    const found = await lookupStream(parts, type, key, 'none');
    if (found.state === 'hit') return { value: found.value, kept: true };
  }
  return { value: unkept(await produce()), kept: false };
}

export function unkept(body: AsyncIterable<Uint8Array>): ComputedStream {
  return {
    sizeBytes: undefined,
    body,
    close: async () => {
      await body[Symbol.asyncIterator]().return?.();
    },
  };
}
