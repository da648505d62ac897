/** Stored details of one instance that a target has confirmed. No patient data. */
export interface ReceiptEntry {
  readonly sopInstanceUid: string;
  readonly seriesInstanceUid: string;
  /** Size of the file that was passed to the handler; undefined if this attempt did not send it completely. */
  readonly sizeBytes: number | undefined;
  /** SHA-256 of these bytes, hexadecimal; undefined if this attempt did not send it completely, or digests are off. */
  readonly sha256: string | undefined;
  /** When it was confirmed, ms since 1970. */
  readonly at: number;
  readonly attempt: number;
  /** Response of the receiver: a status, an ETag, the path. */
  readonly answer: string;
  /** Address of the target, as text. */
  readonly place: string;
}

/** Maximum length of a stored response. */
export const longestAnswer = 200;
