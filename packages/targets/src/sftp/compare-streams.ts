/** Result of a comparison of two streams. */
export type Likeness =
  | 'same'
  /** The second is the beginning of the first. */
  | 'cut'
  | 'different';

/** Compares two streams byte by byte, independent of their chunks, and stops at the first difference. */
export async function compareStreams(
  first: AsyncIterable<Uint8Array>,
  second: AsyncIterable<Uint8Array>,
): Promise<Likeness> {
  const other = second[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array();
  try {
    for await (const chunk of first) {
      for (let at = 0; at < chunk.byteLength;) {
        if (rest.byteLength === 0) {
          const next = await other.next();
          if (next.done) return 'cut';
          rest = next.value;
          continue;
        }
        const length = Math.min(rest.byteLength, chunk.byteLength - at);
        if (Buffer.compare(chunk.subarray(at, at + length), rest.subarray(0, length)) !== 0) return 'different';
        rest = rest.subarray(length);
        at += length;
      }
    }
    if (rest.byteLength > 0) return 'different';
    for (let next = await other.next(); !next.done; next = await other.next()) {
      if (next.value.byteLength > 0) return 'different';
    }
    return 'same';
  } finally {
    await other.return?.();
  }
}
