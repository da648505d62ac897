import type { BlockPool } from './block-pool.ts';
import type { BodyQueue } from './body-queue.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';
import type { BodyFraming } from './parse-head.ts';
import type { CallName } from '../translate-error.ts';

/**
 * Destination of the bytes of one body. A chunk in the queue is not overwritten, unless its reader releases it.
 * These are classes because a closure per request survives young garbage collections: measured, it doubled the heap.
 */
export interface BodySink {
  /** Memory for the next bytes from the socket, or undefined: then they are read elsewhere and passed to `take`. */
  room(): Buffer | undefined;
  /** `count` bytes were read into `room()`. */
  filled(count: number): void;
  /** Bytes read elsewhere, which the sink copies. Returns how many of them belonged to the body. */
  take(bytes: Buffer): number;
  /** The socket has ended: was this the end of the body? */
  readonly endsWithConnection: boolean;
  readonly done: boolean;
}

/** What all sinks of a client share. */
export interface SinkOptions {
  /** A body of up to this length becomes one chunk. */
  wholeBytes: number;
  blocks: BlockPool;
}

/** Size of the memory blocks that large bodies are read into. */
const slabBytes = 256 * 1024;

export function createBodySink(framing: BodyFraming, options: SinkOptions, queue: BodyQueue, call: CallName): BodySink {
  switch (framing.kind) {
    case 'none':
      return new LengthSink(0, options, queue);
    case 'length':
      return new LengthSink(framing.lengthBytes, options, queue);
    case 'chunked':
      return new ChunkedSink(options.blocks, queue, call);
    case 'until-close':
      return new UntilCloseSink(options.blocks, queue);
  }
}

/** A body of known length is read directly into the returned memory: one block if it is small, otherwise slabs. */
class LengthSink implements BodySink {
  readonly endsWithConnection = false;
  readonly #blocks: BlockPool;
  readonly #queue: BodyQueue;
  readonly #blockBytes: number;
  #remaining: number;
  #block: Buffer | undefined;
  #used = 0;

  constructor(lengthBytes: number, { wholeBytes, blocks }: SinkOptions, queue: BodyQueue) {
    this.#blocks = blocks;
    this.#queue = queue;
    this.#blockBytes = lengthBytes <= wholeBytes ? lengthBytes : slabBytes;
    this.#remaining = lengthBytes;
  }

  get done(): boolean {
    return this.#remaining === 0;
  }

  room(): Buffer {
    if (this.#block === undefined) {
      this.#block = this.#blocks.take(Math.min(this.#blockBytes, this.#remaining));
      this.#used = 0;
    }
    return this.#used === 0 ? this.#block : this.#block.subarray(this.#used);
  }

  filled(count: number): void {
    this.#used += count;
    this.#remaining -= count;
    if (this.#block === undefined || this.#used < this.#block.length) return;
    this.#queue.push(this.#block);
    this.#block = undefined;
  }

  take(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.#remaining > 0) {
      const space = this.room();
      const count = Math.min(space.length, bytes.length - at);
      space.set(count === bytes.length ? bytes : bytes.subarray(at, at + count));
      this.filled(count);
      at += count;
    }
    return at;
  }
}

class ChunkedSink implements BodySink {
  readonly endsWithConnection = false;
  readonly #blocks: BlockPool;
  readonly #queue: BodyQueue;
  readonly #decoder: ChunkedDecoder;

  constructor(blocks: BlockPool, queue: BodyQueue, call: CallName) {
    this.#blocks = blocks;
    this.#queue = queue;
    this.#decoder = new ChunkedDecoder(call);
  }

  get done(): boolean {
    return this.#decoder.done;
  }

  room(): undefined {}

  filled(): void {}

  take(bytes: Buffer): number {
    this.#decoder.decode(bytes, (data) => this.#queue.push(copyOf(data, this.#blocks)));
    return bytes.length;
  }
}

class UntilCloseSink implements BodySink {
  readonly endsWithConnection = true;
  readonly done = false;
  readonly #blocks: BlockPool;
  readonly #queue: BodyQueue;

  constructor(blocks: BlockPool, queue: BodyQueue) {
    this.#blocks = blocks;
    this.#queue = queue;
  }

  room(): undefined {}

  filled(): void {}

  take(bytes: Buffer): number {
    if (bytes.length > 0) this.#queue.push(copyOf(bytes, this.#blocks));
    return bytes.length;
  }
}

function copyOf(bytes: Buffer, blocks: BlockPool): Buffer {
  const copy = blocks.take(bytes.length);
  copy.set(bytes);
  return copy;
}
