import type { ProgressTimeout } from './progress-timeout.ts';

/** A slow link takes one piece at a time, so that a large chunk does not look like silence. */
const pieceBytes = 256 * 1024;

export interface Pieces {
  readonly body: AsyncIterable<Uint8Array>;
  /** What the body threw, if it did: HTTP clients replace it by an error of their own. */
  readonly failure: unknown;
  /** Whether all of it was handed on: all bytes that were announced, else all that came. */
  readonly isWhole: boolean;
}

/** Cuts a body into pieces and lets the patience with the other side rest while the body is being waited for. */
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
    progressTimeout.start();
  }

  return {
    body: pieces(),
    get failure() {
      return failure;
    },
    get isWhole() {
      // The other side may answer to the last byte before the source has said that it was the last.
      return hasEnded || (announcedBytes !== undefined && bytes >= announcedBytes);
    },
  };
}
