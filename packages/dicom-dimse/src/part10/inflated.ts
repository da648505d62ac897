import { Readable } from 'node:stream';
import { createInflateRaw } from 'node:zlib';
import { DimseError } from '../errors/dimse-error.ts';
import { openSource } from './byte-source.ts';
import type { ByteCursor } from './byte-source.ts';
import { ByteStream } from './byte-stream.ts';

/** PS3.5 section A.5: the data set, not the file meta, is a raw deflate stream. */
export function inflated(head: Buffer, rest: ByteCursor): ByteStream {
  const input = Readable.from(compressed(head, rest), { objectMode: false });
  const inflate = createInflateRaw();
  input.on('error', (error) => inflate.destroy(error));
  input.pipe(inflate);
  const cursor = openSource(inflate as AsyncIterable<Uint8Array>);
  return new ByteStream(Buffer.alloc(0), {
    isSync: false,
    async next() {
      try {
        return await cursor.next();
      } catch (error) {
        const cause = error instanceof DimseError ? error.cause : error;
        if (!isZlibError(cause)) throw error;
        throw new DimseError('source-not-dicom', 'the deflated data set cannot be decompressed', { cause });
      }
    },
    async close() {
      await cursor.close();
      inflate.destroy();
      input.destroy();
      await rest.close();
    },
  });
}

/** Distinguishes errors of the compressed data from those of the source, which `inflate` passes on. */
function isZlibError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && String(error.code).startsWith('Z_');
}

async function* compressed(head: Buffer, rest: ByteCursor): AsyncGenerator<Buffer> {
  if (head.length > 0) yield head;
  for (;;) {
    const chunk = await rest.next();
    if (chunk === undefined) return;
    yield chunk;
  }
}
