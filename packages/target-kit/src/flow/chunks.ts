import type { InstanceBytes } from '../contract/index.ts';

type Lent = Pick<InstanceBytes, 'body' | 'releaseChunk'>;

/** The chunks of an instance for who keeps none: each is given back to the source when the next is asked for. */
export async function* borrowed({ body, releaseChunk }: Lent): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    yield chunk;
    releaseChunk?.(chunk);
  }
}

/** A socket asks for a pause when it holds more than this (16 KiB is Node's default, 64 KiB on some systems); here with room. */
const maxSocketBytes = 512 * 1024;
/** A stream reads one chunk ahead, and one is being written. */
const maxStreamChunks = 3;

/**
 * Chunks on their way into a request whose client hands each on to a socket, and asks for the next when the socket takes
 * more. A socket that asks for a pause goes on only when all of what it held is written: so a chunk is given back when so
 * much more was asked for that it cannot be among what is held. After a failure nothing is given back.
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

/** Reads the beginning of a body; the body that is given back has it too. */
export async function peeked(
  body: AsyncGenerator<Uint8Array>,
  bytes: number,
): Promise<{ readonly head: Buffer; readonly body: AsyncIterable<Uint8Array> }> {
  const chunks: Buffer[] = [];
  let count = 0;
  while (count < bytes) {
    const step = await body.next();
    if (step.done) break;
    // A copy: the chunk is given back with the next.
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
