import type { ByteStream } from './http/transport.ts';
import { OrthancError } from './orthanc-error.ts';

/** Sufficient for the end record and Orthanc's comment after it. */
const tailBytes = 4096;

/**
 * The same ZIP, which fails at its end unless it has the end record. Orthanc sends archives without a length, up to the
 * end of the connection: a truncated one looks complete.
 */
export function wholeZip(stream: ByteStream, path: string): ByteStream {
  if (stream.sizeBytes !== undefined) return stream;
  return { ...stream, body: checked(stream.body, path) };
}

async function* checked(body: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Uint8Array, undefined> {
  let tail: Buffer = Buffer.alloc(0);
  for await (const chunk of body) {
    // Before the chunk is returned: from then on it belongs to the reader.
    const end = chunk.subarray(-tailBytes);
    tail = Buffer.concat(end.length === tailBytes ? [end] : [tail, end]).subarray(-tailBytes);
    yield chunk;
  }
  if (hasEndRecord(tail)) return;
  throw new OrthancError('reset', `${path}: the archive is incomplete`, { path });
}

/** End of central directory record: signature, 18 bytes, and a comment with its length in bytes 20 and 21. */
function hasEndRecord(tail: Buffer): boolean {
  for (let at = tail.length - 22; at >= 0; at -= 1) {
    if (tail.readUInt32LE(at) === 0x06054b50 && tail.readUInt16LE(at + 20) === tail.length - at - 22) return true;
  }
  return false;
}
