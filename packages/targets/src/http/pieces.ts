import type { ProgressTimeout } from './progress-timeout.ts';

/** Maximum length of a piece: over a slow link a large chunk would take so long that it looked like a stall. */
const pieceBytes = 256 * 1024;

/** Minimum rate at which a peer is expected to store what it has received before it responds. */
const storedBytesPerSecond = 5_000_000;

export interface Pieces {
  readonly body: AsyncGenerator<Uint8Array, void>;
  /** The error of the body, if any: HTTP clients replace it with their own error. */
  readonly failure: unknown;
  /** Whether the body was passed on completely: all announced bytes, or all bytes up to its end. */
  readonly isWhole: boolean;
}

/** Cuts a body into pieces, and suspends the time limit of the peer while waiting for the body. */
export function inPieces(
  body: AsyncIterable<Uint8Array>,
  progressTimeout: ProgressTimeout,
  announcedBytes?: number,
): Pieces {
  let failure: unknown;
  let bytes = 0;
  let hasEnded = false;

  async function* pieces(): AsyncGenerator<Uint8Array, void, undefined> {
    progressTimeout.pause();
    try {
      for await (const chunk of body) {
        for (let offset = 0; offset < chunk.byteLength; offset += pieceBytes) {
          const piece = chunk.subarray(offset, offset + pieceBytes);
          bytes += piece.byteLength;
          progressTimeout.start();
          yield piece;
          progressTimeout.moved(piece.byteLength);
        }
      }
    } catch (thrown) {
      failure = thrown ?? new Error('the body failed');
      throw thrown;
    }
    hasEnded = true;
    progressTimeout.start(Math.floor(bytes / storedBytesPerSecond) * 1_000);
  }

  return {
    body: pieces(),
    get failure() {
      return failure;
    },
    get isWhole() {
      // The peer may respond to the last byte before the source has reported that it was the last.
      return hasEnded || (announcedBytes !== undefined && bytes >= announcedBytes);
    },
  };
}

/**
 * Reads the first piece of a body; the result begins with it. Its `return` ends the body even if nothing else was read.
 *
 * @throws the error of the body
 */
export async function startBody(body: Pieces['body']): Promise<Required<AsyncIterableIterator<Uint8Array, void>>> {
  let first: IteratorResult<Uint8Array, void> | undefined = await body.next();
  const started: Required<AsyncIterableIterator<Uint8Array, void>> = {
    next() {
      const next = first ? Promise.resolve(first) : body.next();
      first = undefined;
      return next;
    },
    return: () => body.return(),
    throw: (error) => body.throw(error),
    [Symbol.asyncIterator]: () => started,
  };
  return started;
}
