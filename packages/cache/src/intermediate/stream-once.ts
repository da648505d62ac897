import { putFile, putValue } from './write-value.ts';
import { asBody, lookupStream } from './read-value.ts';
import { tooLarge, type CacheParts } from './cache-parts.ts';
import type { PutOptions } from './cache-types.ts';
import { spool } from './spool.ts';

/** A result on its way to who asked for it, kept or not. Read `body` to its end, or call `close`. */
export interface ComputedStream {
  /** Unknown where it could not be kept and is too long to be held. */
  readonly sizeBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/**
 * Makes a stream, keeps it, and hands it on. What cannot be kept is handed on all the same; only where a folder fails
 * midway is it made a second time.
 *
 * @throws what `produce` or its stream throws
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
