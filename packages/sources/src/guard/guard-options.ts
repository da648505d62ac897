import type { ExpectedBytes } from './expected-bytes.ts';
import type { FileHead } from './read-head.ts';

/** Bytes as they come: each chunk is memory of its own, since the last one is held back. */
export interface OfferedBytes {
  /** What was announced; undefined where nothing was. */
  readonly sizeBytes: number | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  readonly releaseChunk?: (chunk: Uint8Array) => void;
}

export interface GuardOptions {
  readonly expected: ExpectedBytes;
  /** MD5 of the file at the source; undefined where it keeps none. Called at most once. */
  readonly readMd5?: () => Promise<string | undefined>;
  /** Whether to compare the digest in any case. Otherwise it is compared where the head leaves a doubt. */
  readonly digest?: boolean;
  /** Whether a file without preamble or file meta, or with a wrong one, gets a right one. */
  readonly asPart10?: boolean;
  /** The error for bytes that are not what they must be. */
  readonly wrong: (deviation: Deviation) => Error;
  /** What is thrown for an error, one of the source's or one that `wrong` made: the last word on it. */
  readonly failed: (error: unknown) => Promise<unknown>;
  /** Looks at each chunk as well, and at the whole before its last chunk is handed on. Throws when it will not do. */
  readonly inspector?: Inspector;
  /** Sees each chunk as it is handed out. */
  readonly tally?: Tally | undefined;
  /** Called when nothing more is read from the source; perhaps more than once. */
  readonly ended?: (() => void) | undefined;
}

/** Counts the bytes that are handed out. */
export interface Tally {
  /**
   * Called before the chunk is handed out: its memory may be given back afterwards.
   *
   * @param isLast - nothing follows, and all was verified
   */
  add(chunk: Uint8Array, isLast: boolean): void;
  /** Nothing follows, and all was verified. */
  end(): void;
}

/** What was expected and what came, in words without patient data. */
export interface Deviation {
  readonly kind: 'size' | 'head' | 'digest';
  readonly expected: string;
  readonly came: string;
}

export interface Inspector {
  /** Called once, before the first chunk. */
  begin(head: FileHead): void;
  /** The bytes of the file from its begin. */
  add(chunk: Buffer): void;
  /** @throws when what was seen must not leave */
  end(): void;
}

export function sizeDeviation(expected: ExpectedBytes, came: number): Deviation {
  return {
    kind: 'size',
    expected: expected.sizeBytes === undefined ? 'an instance' : `${expected.sizeBytes} bytes`,
    came: came > expected.maxBytes ? `more than ${expected.maxBytes} bytes` : `${came} bytes`,
  };
}
