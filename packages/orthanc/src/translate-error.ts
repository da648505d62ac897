import { OrthancError } from './orthanc-error.ts';
import type { OrthancErrorCode } from './orthanc-error.ts';

/** The call that an error belongs to. */
export interface CallName {
  method: string;
  /** Without query string. */
  path: string;
}

/** Codes of node, of OpenSSL through node, and of undici, mapped to ours. */
const byForeignCode: Readonly<Record<string, OrthancErrorCode>> = {
  ECONNREFUSED: 'unreachable',
  ENOTFOUND: 'unreachable',
  EAI_AGAIN: 'unreachable',
  EHOSTUNREACH: 'unreachable',
  EHOSTDOWN: 'unreachable',
  ENETUNREACH: 'unreachable',
  ENETDOWN: 'unreachable',
  EPERM: 'unreachable',
  EACCES: 'unreachable',
  EMFILE: 'local-resources',
  ENFILE: 'local-resources',
  ENOMEM: 'local-resources',
  ENOBUFS: 'local-resources',
  EADDRNOTAVAIL: 'local-resources',
  ERR_MEMORY_ALLOCATION_FAILED: 'local-resources',
  ETIMEDOUT: 'timeout',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  UND_ERR_HEADERS_TIMEOUT: 'timeout',
  UND_ERR_BODY_TIMEOUT: 'timeout',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
  UND_ERR_ABORTED: 'cancelled',
  UND_ERR_CLOSED: 'cancelled',
  UND_ERR_DESTROYED: 'cancelled',
  ABORT_ERR: 'cancelled',
  UND_ERR_HEADERS_OVERFLOW: 'protocol',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'protocol',
  UND_ERR_INVALID_ARG: 'bad-request',
  UND_ERR_REQ_CONTENT_LENGTH_MISMATCH: 'bad-request',
};

/** Certificate errors of OpenSSL with none of the prefixes below. */
const certificateVerdicts = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'EPROTO',
]);

const descriptions: Partial<Record<OrthancErrorCode, string>> = {
  unreachable: 'Orthanc cannot be reached; check url, the network, and that Orthanc is running',
  tls: 'the TLS connection failed; check tls.ca, tls.cert, tls.servername and that the server supports TLS',
  timeout: 'Orthanc did not answer in time; check its load, or raise timeoutMs',
  reset: 'the connection broke before the answer was complete',
  protocol: 'the answer is not valid HTTP; check that url names an Orthanc',
  'local-resources': 'this process or its host is at its limit of open files, connections, local ports or memory',
  cancelled: 'the call was cancelled',
};

/** Any thrown value as an {@link OrthancError}; an OrthancError is returned unchanged. */
export function translateError(error: unknown, call: CallName): OrthancError {
  if (error instanceof OrthancError) return error;
  const code = codeOf(error);
  const description = descriptions[code] ?? 'the call failed';
  return new OrthancError(code, `${call.method} ${call.path}: ${description}`, { ...call, cause: error });
}

/** The error of an aborted signal: a deadline (`AbortSignal.timeout`) is a timeout, all others a cancellation. */
export function translateAbort(reason: unknown, call: CallName): OrthancError {
  const code = isTimeout(reason) ? 'timeout' : 'cancelled';
  const text = code === 'timeout' ? "the caller's deadline passed" : 'the call was cancelled';
  return new OrthancError(code, `${call.method} ${call.path}: ${text}`, { ...call, cause: reason });
}

function codeOf(error: unknown): OrthancErrorCode {
  if (isTimeout(error)) return 'timeout';
  if (error instanceof Error && error.name === 'AbortError') return 'cancelled';
  const foreign = foreignCode(error);
  if (foreign === undefined) return isOutOfMemory(error) ? 'local-resources' : 'protocol';
  const known = byForeignCode[foreign];
  if (known !== undefined) return known;
  if (isTlsCode(foreign)) return 'tls';
  return foreign.startsWith('HPE_') ? 'protocol' : 'reset';
}

function isTlsCode(code: string): boolean {
  return certificateVerdicts.has(code) || /^(?:ERR_TLS_|ERR_SSL_|CERT_|CRL_|UNABLE_TO_)/.test(code);
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError';
}

/** `code` of the error, or of the first cause that has one (node's happy eyeballs wrap theirs in an AggregateError). */
function foreignCode(error: unknown): string | undefined {
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    const isOfSeveral = current instanceof AggregateError && current.errors.length > 0;
    if (!isOfSeveral && 'code' in current && typeof current.code === 'string') return current.code;
    current = current instanceof AggregateError ? ofOneAddress(current.errors) : current.cause;
  }
  return undefined;
}

/** An error of the server is preferred to one about an address that this host cannot use. */
function ofOneAddress(errors: readonly unknown[]): unknown {
  const notHere = new Set<unknown>(['EADDRNOTAVAIL', 'ENETUNREACH', 'EAFNOSUPPORT']);
  return errors.find((one) => !(one instanceof Error && 'code' in one && notHere.has(one.code))) ?? errors[0];
}

/** V8's error for a failed allocation has no code. */
function isOutOfMemory(error: unknown): boolean {
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof RangeError && inner.message === 'Array buffer allocation failed';
}
