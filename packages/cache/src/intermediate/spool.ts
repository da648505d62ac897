/** The beginning of a stream: `whole` if it was within the limit, otherwise `more`. */
export type Spooled =
  | { readonly kind: 'whole'; readonly bytes: Buffer }
  | { readonly kind: 'more'; readonly all: AsyncIterable<Uint8Array> };

/** Reads up to `limitBytes` into memory. Beyond this, `all` returns the complete stream, including the read part, once. */
export async function spool(source: AsyncIterable<Uint8Array>, limitBytes: number): Promise<Spooled> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  while (length <= limitBytes) {
    const next = await iterator.next();
    if (next.done) return { kind: 'whole', bytes: Buffer.concat(head) };
    // The source may reuse a chunk as soon as the next one is requested.
    head.push(Uint8Array.from(next.value));
    length += next.value.byteLength;
  }
  return { kind: 'more', all: joined(head, iterator) };
}

function joined(head: Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterator: AsyncIterator<Uint8Array> = {
    async next() {
      const chunk = head.shift();
      return chunk ? { done: false, value: chunk } : rest.next();
    },
    // Unlike that of a generator, this reaches the source even if nothing was read yet.
    async return() {
      head.length = 0;
      await rest.return?.();
      return { done: true, value: undefined };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
