import type { InstanceBytes } from '../contract/index.ts';

type Lent = Pick<InstanceBytes, 'body' | 'releaseChunk'>;

/** The chunks of an instance for readers that keep none: each is released to the source when the next is requested. */
export async function* borrowed({ body, releaseChunk }: Lent): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    yield chunk;
    releaseChunk?.(chunk);
  }
}

/**
 * A socket that holds more bytes than this requests a pause: Node's limit (16 KiB, 64 KiB on some systems) with a margin.
 */
const maxSocketBytes = 512 * 1024;
/** A stream reads one chunk ahead, and one is being written. */
const maxStreamChunks = 3;

/**
 * Chunks for a request whose client passes each to a socket, and requests the next when the socket accepts more. A socket that
 * requested a pause continues only when everything it held is written. A chunk is released after so many later bytes were
 * requested that the socket can no longer hold it. After a failure nothing is released.
 */
export class LateReturns {
  readonly #lent: { readonly chunk: Uint8Array; readonly releaseChunk: (chunk: Uint8Array) => void }[] = [];
  #lentBytes = 0;

  /** The chunks of an instance, for the body of a request. */
  async *borrow({ body, releaseChunk }: Lent): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      yield chunk;
      if (releaseChunk === undefined) continue;
      this.#lent.push({ chunk, releaseChunk });
      this.#lentBytes += chunk.byteLength;
      this.#return();
    }
  }

  #return(): void {
    for (let first = this.#lent[0]; first !== undefined; first = this.#lent[0]) {
      const laterBytes = this.#lentBytes - first.chunk.byteLength;
      if (this.#lent.length <= maxStreamChunks || laterBytes < maxSocketBytes) return;
      this.#lent.shift();
      this.#lentBytes = laterBytes;
      first.releaseChunk(first.chunk);
    }
  }
}

/** Reads the beginning of a body; the returned body still contains it. */
export async function peeked(
  body: AsyncGenerator<Uint8Array>,
  bytes: number,
): Promise<{ readonly head: Buffer; readonly body: AsyncIterable<Uint8Array> }> {
  const chunks: Buffer[] = [];
  let count = 0;
  while (count < bytes) {
    const step = await body.next();
    if (step.done) break;
    // A copy: the chunk is released with the next.
    chunks.push(Buffer.from(step.value));
    count += step.value.byteLength;
  }
  return { head: Buffer.concat(chunks), body: joined(chunks, body) };
}

/** Chunks that were read, and then the rest. */
export async function* joined(
  chunks: readonly Uint8Array[],
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* chunks;
    for (let step = await rest.next(); !step.done; step = await rest.next()) yield step.value;
  } finally {
    await rest.return?.();
  }
}
