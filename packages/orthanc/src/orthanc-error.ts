/**
 * All error codes, as a closed list:
 * - `unreachable`: no connection (refused, unknown host, no route)
 * - `tls`: the TLS handshake failed or a certificate is not trusted
 * - `timeout`: the server sent no data for longer than the timeout, or was slower than the minimum rate; or the deadline of
 *   the caller's signal (`AbortSignal.timeout`) has passed
 * - `unauthorized` / `forbidden`: HTTP 401 / 403
 * - `not-found`: HTTP 404, the resource or the route does not exist
 * - `conflict`: HTTP 409 or 412, another writer was first; or the study has changed while it was read
 * - `bad-request`: any other HTTP 3xx or 4xx, or an argument that this client rejects
 * - `busy`: HTTP 429 or 503, the server requests a later retry
 * - `server-error`: any other HTTP 5xx
 * - `reset`: the connection broke before the complete response arrived
 * - `protocol`: the response is not the HTTP, JSON or DICOM that Orthanc sends; often a page of a proxy
 * - `too-large`: the response is larger than its limit, or HTTP 413, the request is too large
 * - `unsupported`: this server's version lacks the call, or it cannot write the requested file
 * - `job-failed`: a job of Orthanc ended without success
 * - `local-resources`: this process or its host is at its limit of open files, connections, local ports or memory; the server
 *   is not the cause
 * - `cancelled`: by the caller's signal, or by `close()` of the client
 */
export const orthancErrorCodes = [
  'unreachable',
  'tls',
  'timeout',
  'unauthorized',
  'forbidden',
  'not-found',
  'conflict',
  'bad-request',
  'busy',
  'server-error',
  'reset',
  'protocol',
  'too-large',
  'unsupported',
  'job-failed',
  'local-resources',
  'cancelled',
] as const;

export type OrthancErrorCode = (typeof orthancErrorCodes)[number];

export interface OrthancErrorInit {
  /** HTTP method of the call, if there was one. */
  method?: string | undefined;
  /** Path of the call, without its query string (which may carry tags of a patient). */
  path?: string | undefined;
  /** HTTP status, if there was a response. */
  status?: number | undefined;
  /** `OrthancStatus` of the response: the number in Orthanc's list of errors. */
  orthancStatus?: number | undefined;
  /** Whether the response was created by Orthanc, see {@link OrthancError.isOrthancAnswer}. */
  isOrthancAnswer?: boolean | undefined;
  /** `Details` of the response: text of the server, see {@link OrthancError.details}. */
  details?: string | undefined;
  /** The server's `Retry-After`, in milliseconds. */
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** The only error class of this package. Its message and its fields contain no patient data. */
export class OrthancError extends Error {
  override readonly name = 'OrthancError';
  readonly code: OrthancErrorCode;
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly status: number | undefined;
  readonly orthancStatus: number | undefined;
  readonly retryAfterMs: number | undefined;
  /**
   * True if the response was certainly created by Orthanc: its JSON with `OrthancError`, `OrthancStatus` and the status.
   * False for a page of a proxy, and for a response without a body, which a proxy may have created as well (Orthanc, too,
   * responds to some calls for missing resources with an empty 404). An error where this is false proves no deletion: `exists`
   * sends a request to which Orthanc responds in its own format.
   */
  readonly isOrthancAnswer: boolean;
  /**
   * Orthanc's own explanation (`Details` of its response). It is useful to an operator, but may contain a value
   * of a data set. So it is not enumerable, and is not logged unless added explicitly.
   */
  declare readonly details: string | undefined;

  constructor(code: OrthancErrorCode, message: string, init: OrthancErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.method = init.method;
    this.path = init.path;
    this.status = init.status;
    this.orthancStatus = init.orthancStatus;
    this.retryAfterMs = init.retryAfterMs;
    this.isOrthancAnswer = init.isOrthancAnswer ?? false;
    Object.defineProperty(this, 'details', { value: init.details, enumerable: false });
  }
}
