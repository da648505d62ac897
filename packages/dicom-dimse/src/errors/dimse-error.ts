import type { AbortReason, RejectReason } from '../pdu/reasons.ts';

/**
 * All error codes, as one closed union.
 *
 * - Arguments: `invalid-argument`, `too-many-presentation-contexts`.
 * - Transport: `name-not-resolved`, `connect-refused`, `connect-unreachable`, `connect-timeout`, `connect-failed`;
 *   `local-resources` is a limit of this machine (open files, memory).
 * - TLS: `tls-*`; `tls-not-spoken` means that the port does not use TLS, `tls-expected` that it requires TLS,
 *   `tls-closed` that the peer closed the connection during the handshake: it does not use TLS there, or is not available.
 * - Association: `association-timeout`, `association-rejected`, `aborted`, `connection-closed`, `association-ended`
 *   (ended locally, or used after its end), `idle-timeout`, `protocol-error` (the peer violated the Standard), `limit-exceeded`.
 * - Operations: `no-presentation-context`, `response-timeout`, `send-timeout`, `cancelled`, `unexpected-response`,
 *   `answer-cut` (an incomplete list of matches).
 * - Data: `source-failed`, `source-not-dicom`, `dataset-invalid`, `handler-failed`.
 */
export type DimseErrorCode =
  | 'invalid-argument'
  | 'too-many-presentation-contexts'
  | 'name-not-resolved'
  | 'connect-refused'
  | 'connect-unreachable'
  | 'connect-timeout'
  | 'connect-failed'
  | 'local-resources'
  | 'tls-untrusted'
  | 'tls-expired'
  | 'tls-not-yet-valid'
  | 'tls-revoked'
  | 'tls-host-mismatch'
  | 'tls-client-certificate-required'
  | 'tls-client-certificate-rejected'
  | 'tls-version'
  | 'tls-cipher'
  | 'tls-weak'
  | 'tls-not-spoken'
  | 'tls-expected'
  | 'tls-closed'
  | 'tls-material'
  | 'tls-failed'
  | 'association-timeout'
  | 'association-rejected'
  | 'association-ended'
  | 'aborted'
  | 'connection-closed'
  | 'idle-timeout'
  | 'protocol-error'
  | 'limit-exceeded'
  | 'no-presentation-context'
  | 'response-timeout'
  | 'send-timeout'
  | 'cancelled'
  | 'unexpected-response'
  | 'answer-cut'
  | 'source-failed'
  | 'source-not-dicom'
  | 'dataset-invalid'
  | 'handler-failed';

export interface DimseErrorDetails {
  readonly cause?: unknown;
  /** Set with `association-rejected`: PS3.8 table 9-21. */
  readonly rejection?: RejectReason;
  /** For `aborted` the received reason, for other codes the reason to send to the peer: PS3.8 table 9-26. */
  readonly abort?: AbortReason;
}

/** The one error class of this package. Its text names field, value and remedy, never patient data. */
export class DimseError extends Error {
  override readonly name = 'DimseError';
  readonly code: DimseErrorCode;
  readonly rejection: RejectReason | undefined;
  readonly abort: AbortReason | undefined;

  constructor(code: DimseErrorCode, message: string, details: DimseErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.rejection = details.rejection;
    this.abort = details.abort;
  }
}

/** Whether `error` is a DimseError, optionally with one of the given codes. */
export function isDimseError(error: unknown, ...codes: readonly DimseErrorCode[]): error is DimseError {
  return error instanceof DimseError && (codes.length === 0 || codes.includes(error.code));
}
