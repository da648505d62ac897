import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { createInflate } from 'node:zlib';

/**
 * The zlib stream that begins at `start` of a file, decompressed; it closes the descriptor. It ends with an error if it
 * would be longer than `sizeBytes`, which a damaged file could exceed without limit.
 */
export async function* inflated(descriptor: number, start: number, sizeBytes: number): AsyncGenerator<Uint8Array> {
  const inflate = createInflate({ chunkSize: 256 * 1024 });
  // A failure reaches the reader through `inflate`.
  pipeline(createReadStream('', { fd: descriptor, start, highWaterMark: 256 * 1024 }), inflate, () => {});
  let count = 0;
  for await (const chunk of inflate as AsyncIterable<Buffer>) {
    count += chunk.length;
    if (count > sizeBytes) throw new Error(`the compressed file holds more than ${sizeBytes} bytes`);
    yield chunk;
  }
}
