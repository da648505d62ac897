import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** The smallest size that keeps an object within 10,000 parts (S3 user guide, "Multipart upload limits"). */
export function partSizeFor(objectBytes: number, configuredBytes: number): number {
  const mebibyte = 1024 * 1024;
  return Math.max(configuredBytes, Math.ceil(objectBytes / 10_000 / mebibyte) * mebibyte);
}

/** Cuts a stream into parts of the same size; the last is what remains. An empty stream is one empty part. */
export async function* partsOf(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  partBytes: number,
  objectBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let expected = objectBytes;
  const newPart = (): Buffer =>
    Buffer.allocUnsafe(Math.max(1, Math.min(partBytes, expected > 0 ? expected : partBytes)));
  let part = newPart();
  let filled = 0;
  let yielded = false;
  for await (const chunk of body) {
    for (let at = 0; at < chunk.byteLength;) {
      if (filled === part.length) {
        if (part.length < partBytes) {
          // More came than was promised.
          part = Buffer.concat([part], partBytes);
          continue;
        }
        yield part;
        yielded = true;
        expected -= part.length;
        part = newPart();
        filled = 0;
      }
      const taken = chunk.subarray(at, at + part.length - filled);
      part.set(taken, filled);
      filled += taken.byteLength;
      at += taken.byteLength;
    }
  }
  if (filled > 0 || !yielded) yield part.subarray(0, filled);
}

export function md5(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}

/**
 * The checksums of an object as it is sent: of its parts, and of the whole. What servers call ETag is the MD5 of the
 * bytes, or that of the parts' MD5s with their number, unless they encrypt with a key of their own.
 */
export class Tally {
  readonly #parts: Buffer[] = [];
  #crc = 0;
  sizeBytes = 0;

  /** @returns the MD5 of the part */
  add(part: Uint8Array): Buffer {
    const digest = md5(part);
    this.#parts.push(digest);
    this.#crc = crc32(part, this.#crc);
    this.sizeBytes += part.byteLength;
    return digest;
  }

  /** The ETag of an object made in one request. */
  get singleEtag(): string {
    return this.#parts[0]?.toString('hex') ?? '';
  }

  /** The ETag of an object made of parts. */
  get multipartEtag(): string {
    return `${md5(Buffer.concat(this.#parts)).toString('hex')}-${this.#parts.length}`;
  }

  get crc32Base64(): string {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(this.#crc);
    return bytes.toString('base64');
  }
}
