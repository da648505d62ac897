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
