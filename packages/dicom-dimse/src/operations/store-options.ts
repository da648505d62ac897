import type { Priority } from '../dimse/command-set.ts';
import type { DimseStatus } from '../dimse/status.ts';

export interface StoreOptions {
  /**
   * Before the instance is sent: it is taken out of the queue. While it is sent: the association is aborted, there is no
   * other way. While its response is awaited: the promise rejects, the response is dropped, the association lives on.
   */
  readonly signal?: AbortSignal | undefined;
  /** Default `medium`. */
  readonly priority?: Priority | undefined;
  /** What the caller knows better than the file meta, or the file meta lacks. */
  readonly sopClassUid?: string | undefined;
  readonly sopInstanceUid?: string | undefined;
  readonly transferSyntaxUid?: string | undefined;
  /**
   * Takes files without preamble, with a wrong group length or without file meta, which archives keep and forward; needs
   * `transferSyntaxUid`, which a file without meta does not tell. Default false.
   */
  readonly isTolerant?: boolean | undefined;
  /**
   * Called for each chunk of the source once nothing refers to it any more, so that its memory can be used again: the one
   * exception to "a source must not change a chunk". Chunks that were never sent are not among them.
   */
  readonly releaseChunk?: ((chunk: Uint8Array) => void) | undefined;
  /** Set when the store is part of a C-MOVE (PS3.7 section 9.1.1.1). */
  readonly moveOriginator?: { readonly aeTitle: string; readonly messageId: number } | undefined;
}

export interface StoreResult extends DimseStatus {
  /** As the peer named it; ours where it did not. */
  readonly affectedSopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  /** Data set bytes sent, without any padding. */
  readonly dataSetBytes: number;
  /** Error Comment (0000,0902): may hold anything the peer likes. */
  readonly errorComment: string | undefined;
}
