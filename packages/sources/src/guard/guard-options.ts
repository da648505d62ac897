import type { ExpectedBytes } from './expected-bytes.ts';
import type { FileHead } from './read-head.ts';

/** The received bytes: each chunk has separate memory, since the last one is held back. */
export interface OfferedBytes {
  /** The announced size; undefined if there was none. */
  readonly sizeBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  readonly releaseChunk?: (chunk: Uint8Array) => void;
}

export interface GuardOptions {
  readonly expected: ExpectedBytes;
  /** MD5 of the file at the source; undefined if it stores none. Called at most once. */
  readonly readMd5?: () => Promise<string | undefined>;
  /** Whether to compare the digest in any case. Otherwise it is compared if the header is not conclusive. */
  readonly digest?: boolean;
  /** Whether a file without preamble or file meta, or with a wrong one, gets a right one. */
  readonly asPart10?: boolean;
  /** The error for bytes that are not what they must be. */
  readonly wrong: (deviation: Deviation) => Error;
  /** The error to throw for an error of the source or one created by `wrong`. */
  readonly failed: (error: unknown) => Promise<unknown>;
  /** Inspects each chunk as well, and the whole before its last chunk is returned. Throws to reject it. */
  readonly inspector?: Inspector;
  /** Sees each chunk when it is returned. */
  readonly tally?: Tally | undefined;
  /** Called when nothing more is read from the source; perhaps more than once. */
  readonly ended?: (() => void) | undefined;
}

/** Counts the returned bytes. */
export interface Tally {
  /**
   * Called before the chunk is returned: its memory may be released afterwards.
   *
   * @param isLast - nothing follows, and all was verified
   */
  add(chunk: Uint8Array, isLast: boolean): void;
  /** Nothing follows, and all was verified. */
  end(): void;
}

/** The expected and the received value, as text without patient data. */
export interface Deviation {
  readonly kind: 'size' | 'head' | 'digest';
  readonly expected: string;
  readonly came: string;
}

export interface Inspector {
  /** Called once, before the first chunk. */
  begin(head: FileHead): void;
  /** The bytes of the file from its beginning. */
  add(chunk: Buffer): void;
  /** @throws if the inspected data must not be sent */
  end(): void;
}

export function sizeDeviation(expected: ExpectedBytes, came: number): Deviation {
  return {
    kind: 'size',
    expected: expected.sizeBytes === undefined ? 'an instance' : `${expected.sizeBytes} bytes`,
    came: came > expected.maxBytes ? `more than ${expected.maxBytes} bytes` : `${came} bytes`,
  };
}
