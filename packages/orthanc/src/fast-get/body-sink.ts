import type { BodyQueue } from './body-queue.ts';
import { ChunkedDecoder } from './chunked-decoder.ts';
import type { BodyFraming } from './parse-head.ts';
import type { CallName } from '../translate-error.ts';

/** Where the bytes of one body go. Every chunk that reaches the queue is memory of its own, never written again. */
export interface BodySink {
  /** Memory for the next bytes from the socket, or undefined: then they are read elsewhere and given to `take`. */
  room(): Buffer | undefined;
  /** `count` bytes were read into `room()`. */
  filled(count: number): void;
  /** Bytes read elsewhere, which the sink copies. Returns how many of them belonged to the body. */
  take(bytes: Buffer): number;
  /** The socket has ended: was that the end of the body? */
  endsWithConnection: boolean;
  readonly done: boolean;
}

/** Size of the memory blocks that large bodies are read into. */
const slabBytes = 256 * 1024;

export function createBodySink(framing: BodyFraming, wholeBytes: number, queue: BodyQueue, call: CallName): BodySink {
  switch (framing.kind) {
    case 'none':
      return createLengthSink(0, wholeBytes, queue);
    case 'length':
      return createLengthSink(framing.lengthBytes, wholeBytes, queue);
    case 'chunked':
      return createChunkedSink(queue, call);
    case 'until-close':
      return createUntilCloseSink(queue);
  }
}

/** A body of known length is read straight into the memory that is handed on: one block when small, else slabs. */
function createLengthSink(lengthBytes: number, wholeBytes: number, queue: BodyQueue): BodySink {
  const blockBytes = lengthBytes <= wholeBytes ? lengthBytes : slabBytes;
  let remaining = lengthBytes;
  let block: Buffer | undefined;
  let used = 0;

  function room(): Buffer {
    if (block === undefined) {
      block = Buffer.allocUnsafeSlow(Math.min(blockBytes, remaining));
      used = 0;
    }
    return used === 0 ? block : block.subarray(used);
  }

  function filled(count: number): void {
    used += count;
    remaining -= count;
    if (block === undefined || used < block.length) return;
    queue.push(block);
    block = undefined;
  }

  return {
    room,
    filled,
    take(bytes) {
      let at = 0;
      while (at < bytes.length && remaining > 0) {
        const space = room();
        const count = Math.min(space.length, bytes.length - at);
        space.set(count === bytes.length ? bytes : bytes.subarray(at, at + count));
        filled(count);
        at += count;
      }
      return at;
    },
    endsWithConnection: false,
    get done() {
      return remaining === 0;
    },
  };
}

function createChunkedSink(queue: BodyQueue, call: CallName): BodySink {
  const decoder = new ChunkedDecoder(call);
  return {
    room: () => undefined,
    filled: () => undefined,
    take(bytes) {
      decoder.decode(bytes, (data) => queue.push(copyOf(data)));
      return bytes.length;
    },
    endsWithConnection: false,
    get done() {
      return decoder.done;
    },
  };
}

function createUntilCloseSink(queue: BodyQueue): BodySink {
  return {
    room: () => undefined,
    filled: () => undefined,
    take(bytes) {
      queue.push(copyOf(bytes));
      return bytes.length;
    },
    endsWithConnection: true,
    done: false,
  };
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}
