import { close, closeSync, constants, fstat, open, openSync, read, readSync } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { promisify } from 'node:util';

import { BlockPool } from '../fast-get/block-pool.ts';
import type { FileStream } from '../http/transport.ts';
import { BlockingReads } from './blocking-reads.ts';
import { inflated } from './inflated.ts';

const openFile = promisify(open);
const statFile = promisify(fstat);

/** Data for finding an attachment in the storage area, as listed by Orthanc. */
export interface StoredAttachment {
  /** `FileUuid` of the instance. */
  readonly uuid: string;
  /** `FileSize` of the instance: its size as returned by Orthanc, uncompressed. */
  readonly sizeBytes: number;
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Files up to this size are read by one call into one block. */
const wholeBytes = 1024 * 1024;
/** Files up to this size are read by blocking calls, if the file system allows it. */
const maxBlockingBytes = 128 * 1024;
const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const slabBytes = 256 * 1024;
/** Orthanc writes the uncompressed size, 64 bits little endian, before a zlib stream (`StorageCompression`). */
const lengthBytes = 8;

/**
 * The folder in which an Orthanc stores its attachments (`StorageDirectory`), read directly: `<uuid[0:2]>/<uuid[2:4]>/<uuid>`.
 * It is only read, and only regular files below the folder are opened. The caller must check whether the bytes of a file are
 * those of the expected instance.
 */
export class StorageArea {
  readonly #folder: string;
  readonly #blocking: BlockingReads;
  readonly #blocks = new BlockPool();
  readonly #release = (chunk: Uint8Array): void => this.#blocks.release(chunk);

  private constructor(folder: string, blocking: BlockingReads) {
    this.#folder = folder;
    this.#blocking = blocking;
  }

  /**
   * @param folder of the storage area, as this process sees it
   * @param blocking - when files are read by blocking calls; default by the file system of the folder
   * @throws the error of the file system when the folder cannot be listed
   */
  static async at(folder: string, blocking?: BlockingReads): Promise<StorageArea> {
    const real = await realpath(folder);
    await readdir(real);
    return new StorageArea(real, blocking ?? (await BlockingReads.of(real)));
  }

  /**
   * Opens an attachment. Undefined if it does not exist, cannot be read, or has another size: deleted, replaced, or stored by a
   * storage plugin. Read `body` to its end or leave it; a failure during reading throws the error of the file system.
   */
  async open(attachment: StoredAttachment): Promise<FileStream | undefined> {
    const { uuid, sizeBytes } = attachment;
    if (!uuidForm.test(uuid)) return undefined;
    const whole = this.#readNow(attachment);
    if (whole !== undefined) return this.#streamOf(sizeBytes, new WholeBody(whole));
    let descriptor: number;
    try {
      descriptor = await openFile(this.#pathOf(uuid), flags);
    } catch {
      return undefined;
    }
    try {
      const body = await this.#bodyOf(descriptor, sizeBytes);
      if (body !== undefined) return this.#streamOf(sizeBytes, body);
    } catch {
      // An unreadable file is treated like a missing one.
    }
    close(descriptor, () => {});
    return undefined;
  }

  /**
   * The bytes of a small attachment, by blocking calls. Undefined if it is not small, cannot be read in this way now (slow disk,
   * network file system), or has another size, e.g. because it is compressed: `open` decides then.
   */
  #readNow({ uuid, sizeBytes }: StoredAttachment): Buffer | undefined {
    if (sizeBytes === 0 || sizeBytes > maxBlockingBytes || !this.#blocking.areAllowed) return undefined;
    return this.#blocking.run(() => this.#readSync(this.#pathOf(uuid), sizeBytes));
  }

  #readSync(path: string, sizeBytes: number): Buffer | undefined {
    let descriptor: number;
    try {
      descriptor = openSync(path, flags);
    } catch {
      return undefined;
    }
    const block = this.#blocks.take(sizeBytes + 1);
    let count = 0;
    try {
      count = readSync(descriptor, block, 0, block.length, 0);
    } catch {
      // An unreadable file is treated like a missing one.
    }
    try {
      closeSync(descriptor);
    } catch {
      // The descriptor is released even if closing fails, and the bytes have been read.
    }
    if (count === sizeBytes) return block.subarray(0, count);
    this.#blocks.release(block);
    return undefined;
  }

  #pathOf(uuid: string): string {
    return `${this.#folder}/${uuid.slice(0, 2)}/${uuid.slice(2, 4)}/${uuid}`;
  }

  #streamOf(sizeBytes: number, body: AsyncIterableIterator<Uint8Array>): FileStream {
    return { sizeBytes, contentType: 'application/dicom', body, release: this.#release };
  }

  /** A small file takes three calls (open, read, close): reading one byte more shows whether it has exactly this size. */
  async #wholeOf(descriptor: number, sizeBytes: number): Promise<WholeBody | undefined> {
    const block = this.#blocks.take(sizeBytes + 1);
    const count = await readAt(descriptor, block, 0);
    if (count === sizeBytes) {
      close(descriptor, () => {});
      return new WholeBody(block.subarray(0, count));
    }
    this.#blocks.release(block);
    return undefined;
  }

  async #bodyOf(descriptor: number, sizeBytes: number): Promise<AsyncIterableIterator<Uint8Array> | undefined> {
    if (sizeBytes > 0 && sizeBytes <= wholeBytes) {
      const whole = await this.#wholeOf(descriptor, sizeBytes);
      if (whole !== undefined) return whole;
    }
    const stat = await statFile(descriptor);
    if (!stat.isFile()) return undefined;
    if (stat.size === sizeBytes) return new PlainBody(descriptor, sizeBytes, this.#blocks);
    if (stat.size <= lengthBytes + 2) return undefined;
    const head = Buffer.alloc(lengthBytes + 1);
    const count = await readAt(descriptor, head, 0);
    const isCompressed =
      count === head.length && head.readBigUInt64LE(0) === BigInt(sizeBytes) && (head[lengthBytes]! & 0x0f) === 8;
    return isCompressed ? inflated(descriptor, lengthBytes, sizeBytes) : undefined;
  }
}

/** A file in one chunk, read and closed already. */
class WholeBody implements AsyncIterableIterator<Uint8Array> {
  #chunk: Uint8Array | undefined;

  constructor(chunk: Uint8Array) {
    this.#chunk = chunk;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const value = this.#chunk;
    this.#chunk = undefined;
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#chunk = undefined;
    return { done: true, value: undefined };
  }
}

/** Slabs of a file from its beginning, the next of which is read ahead. */
class PlainBody implements AsyncIterableIterator<Uint8Array> {
  readonly #descriptor: number;
  readonly #sizeBytes: number;
  readonly #blocks: BlockPool;
  #at = 0;
  #ahead: Promise<Uint8Array> | undefined;
  #isClosed = false;

  constructor(descriptor: number, sizeBytes: number, blocks: BlockPool) {
    this.#descriptor = descriptor;
    this.#sizeBytes = sizeBytes;
    this.#blocks = blocks;
    if (sizeBytes > 0) this.#readAhead();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const reading = this.#ahead;
    if (reading === undefined || this.#isClosed) {
      this.#close();
      return { done: true, value: undefined };
    }
    try {
      const value = await reading;
      this.#ahead = undefined;
      if (this.#at < this.#sizeBytes) this.#readAhead();
      else this.#close();
      return { done: false, value };
    } catch (error) {
      this.#ahead = undefined;
      this.#close();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    // A descriptor that is being read must not be closed: its number could be given to another file.
    await this.#ahead?.catch(() => {});
    this.#ahead = undefined;
    this.#close();
    return { done: true, value: undefined };
  }

  #readAhead(): void {
    const left = this.#sizeBytes - this.#at;
    const block = this.#blocks.take(left <= wholeBytes ? left : slabBytes);
    const from = this.#at;
    this.#at += block.length;
    this.#ahead = readWhole(this.#descriptor, block, from);
    // The caller that requests the chunk gets the error.
    this.#ahead.catch(() => {});
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    close(this.#descriptor, () => {});
  }
}

/** @throws Error if the file ends before the block is full */
async function readWhole(descriptor: number, block: Buffer, position: number): Promise<Buffer> {
  let filled = 0;
  while (filled < block.length) {
    const count = await readAt(descriptor, filled === 0 ? block : block.subarray(filled), position + filled);
    if (count === 0) throw new Error(`the file ended after ${position + filled} bytes`);
    filled += count;
  }
  return block;
}

function readAt(descriptor: number, into: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(descriptor, into, 0, into.length, position, (error, count) => (error ? reject(error) : resolve(count)));
  });
}
