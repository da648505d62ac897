import { createHash, type Hash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Part size in bytes: as configured, or more if the object would have over 10,000 parts (S3 user guide, "Multipart upload limits"). */
export function partSizeFor(objectBytes: number, configuredBytes: number): number {
  const mebibyte = 1024 * 1024;
  return Math.max(configuredBytes, Math.ceil(objectBytes / 10_000 / mebibyte) * mebibyte);
}

/** Memory for parts that are filled and sent. */
export interface PartMemory {
  /** Resolves when memory is available. */
  take(bytes: number): Buffer | Promise<Buffer>;
  /** For a part that was taken and not passed on. */
  releasePart(part: Buffer): void;
}

/** Memory without a limit, released by the garbage collector. */
const freshMemory: PartMemory = { take: (bytes) => Buffer.allocUnsafeSlow(bytes), releasePart() {} };

/** Cuts a stream into parts of the same size; the last is what remains. An empty stream is one empty part. */
export async function* partsOf(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  partBytes: number,
  objectBytes: number,
  memory: PartMemory = freshMemory,
): AsyncGenerator<Buffer, void, undefined> {
  let expected = objectBytes;
  let part: Buffer | undefined;
  let filled = 0;
  let yielded = false;
  try {
    for await (const chunk of body) {
      for (let at = 0; at < chunk.byteLength;) {
        part ??= await memory.take(Math.max(1, Math.min(partBytes, expected > 0 ? expected : partBytes)));
        if (filled === part.length) {
          if (part.length < partBytes) {
            // More data than announced.
            part = Buffer.concat([part], partBytes);
            continue;
          }
          const full = part;
          part = undefined;
          expected -= full.length;
          filled = 0;
          yielded = true;
          yield full;
          continue;
        }
        const taken = chunk.subarray(at, at + part.length - filled);
        part.set(taken, filled);
        filled += taken.byteLength;
        at += taken.byteLength;
      }
    }
    if (filled > 0 || !yielded) {
      const last = (part ?? (await memory.take(1))).subarray(0, filled);
      part = undefined;
      yield last;
    }
  } finally {
    if (part) memory.releasePart(part);
  }
}

export function md5(bytes: Uint8Array): Buffer {
  return createHash('md5').update(bytes).digest();
}

/** Size and CRC-32 of bytes. */
export class Crc32Tally {
  #crc = 0;
  sizeBytes = 0;

  add(bytes: Uint8Array): void {
    this.#crc = crc32(bytes, this.#crc);
    this.sizeBytes += bytes.byteLength;
  }

  get crc32Base64(): string {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(this.#crc);
    return bytes.toString('base64');
  }
}

/**
 * The checksums of a sent object: of its parts, and of the whole. On most servers the ETag is the MD5 of the bytes, or that of the
 * parts' MD5s with their number; other servers have their own ETags, also in the form of an MD5.
 */
export class Tally {
  readonly #parts: Buffer[] = [];
  readonly #whole: Hash | undefined;
  readonly #crc32 = new Crc32Tally();

  /** @param options.whole - also compute the MD5 of the object, which doubles the cost */
  constructor({ whole = false } = {}) {
    this.#whole = whole ? createHash('md5') : undefined;
  }

  get sizeBytes(): number {
    return this.#crc32.sizeBytes;
  }

  get partCount(): number {
    return this.#parts.length;
  }

  /** @returns the MD5 of the part */
  add(part: Uint8Array): Buffer {
    const digest = md5(part);
    this.#whole?.update(part);
    this.#parts.push(digest);
    this.#crc32.add(part);
    return digest;
  }

  /** The MD5 of the object; undefined if it was not computed. */
  get wholeMd5(): string | undefined {
    if (this.#parts.length === 1) return this.#parts[0]?.toString('hex');
    return this.#whole?.copy().digest('hex');
  }

  /** The ETag of an object made from parts. */
  get multipartEtag(): string {
    return `${md5(Buffer.concat(this.#parts)).toString('hex')}-${this.#parts.length}`;
  }

  get crc32Base64(): string {
    return this.#crc32.crc32Base64;
  }
}
