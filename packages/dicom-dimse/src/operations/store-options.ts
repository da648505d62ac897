import type { Priority } from '../dimse/command-set.ts';
import type { DimseStatus } from '../dimse/status.ts';

export interface StoreOptions {
  /**
   * Before the instance is sent: it is removed from the queue. During the transfer: the association is aborted, because
   * there is no alternative. While its response is awaited: the promise rejects, the response is dropped, the association
   * stays open.
   */
  readonly signal?: AbortSignal | undefined;
  /** Default `medium`. */
  readonly priority?: Priority | undefined;
  /**
   * Take precedence over the values in the file meta information, or replace missing ones. If the file has another transfer
   * syntax, the store fails with `source-failed`.
   */
  readonly sopClassUid?: string | undefined;
  readonly sopInstanceUid?: string | undefined;
  readonly transferSyntaxUid?: string | undefined;
  /**
   * Accepts files without preamble, with a wrong group length or without file meta information, which archives store and
   * forward; needs `transferSyntaxUid`, which a file without file meta information lacks. Default false.
   */
  readonly isTolerant?: boolean | undefined;
  /**
   * Called for each chunk of the source once nothing refers to it any more, so that its memory can be used again: the one
   * exception to "a source must not change a chunk". Not called for chunks of the data set that were never sent.
   */
  readonly releaseChunk?: ((chunk: Uint8Array) => void) | undefined;
  /** Set when the store is part of a C-MOVE (PS3.7 section 9.1.1.1). */
  readonly moveOriginator?: { readonly aeTitle: string; readonly messageId: number } | undefined;
}

export interface StoreResult extends DimseStatus {
  /** As in the response of the peer; ours if it has none. */
  readonly affectedSopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  /** Data set bytes sent, without any padding. */
  readonly dataSetBytes: number;
  /** Error Comment (0000,0902): may contain any text of the peer. */
  readonly errorComment: string | undefined;
}
