/** What is kept of one instance that a target has confirmed. No patient data. */
export interface ReceiptEntry {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** Bytes of the file as it was handed to the handler; undefined when this attempt did not send it whole. */
  readonly sizeBytes: number | undefined;
  /** SHA-256 of these bytes, hexadecimal; undefined when this attempt did not send it whole, or digests are off. */
  readonly sha256: string | undefined;
  /** When it was confirmed, ms since 1970. */
  readonly at: number;
  readonly attempt: number;
  /** What the receiver said: a status, an ETag, the path. */
  readonly answer: string;
  /** Where the target was, in words. */
  readonly place: string;
}

/** Most characters of an answer that are kept. */
export const longestAnswer = 200;
