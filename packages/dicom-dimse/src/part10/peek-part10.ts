import { openSource } from './byte-source.ts';
import type { ByteCursor, ByteSource } from './byte-source.ts';
import type { FileMeta } from './file-meta.ts';
import { openPart10 } from './open-part10.ts';
import type { OpenPart10Options } from './open-part10.ts';

export interface PeekedPart10 {
  readonly meta: FileMeta;
  /** The complete file again, including the inspected part; to be read once. */
  readonly source: ByteSource;
}

/** Reads the file meta information of a source that is sent later: to choose an association or a context by it. */
export function peekPart10(source: ByteSource, options: OpenPart10Options = {}): PeekedPart10 | Promise<PeekedPart10> {
  const cursor = openSource(source);
  const read: Buffer[] = [];
  // Neither reader closes the cursor: the rest of the source is still needed.
  if (cursor.isSync) {
    const { meta } = openPart10(readSync(cursor, read), options) as { meta: FileMeta };
    return { meta, source: replaySync(read, cursor) };
  }
  return (async () => {
    const { meta } = await openPart10(readAsync(cursor, read), options);
    return { meta, source: replay(read, cursor) };
  })();
}

function* readSync(cursor: ByteCursor, read: Buffer[]): Generator<Buffer, void, void> {
  for (let chunk = cursor.next(); chunk !== undefined; chunk = cursor.next()) {
    read.push(chunk as Buffer);
    yield chunk as Buffer;
  }
}

async function* readAsync(cursor: ByteCursor, read: Buffer[]): AsyncGenerator<Buffer, void, void> {
  for (let chunk = await cursor.next(); chunk !== undefined; chunk = await cursor.next()) {
    read.push(chunk);
    yield chunk;
  }
}

function* replaySync(read: readonly Buffer[], cursor: ByteCursor): Generator<Buffer, void, void> {
  try {
    yield* read;
    for (let chunk = cursor.next(); chunk !== undefined; chunk = cursor.next()) yield chunk as Buffer;
  } finally {
    cursor.close();
  }
}

async function* replay(read: readonly Buffer[], cursor: ByteCursor): AsyncGenerator<Buffer, void, void> {
  try {
    yield* read;
    for (let chunk = await cursor.next(); chunk !== undefined; chunk = await cursor.next()) yield chunk;
  } finally {
    await cursor.close();
  }
}
