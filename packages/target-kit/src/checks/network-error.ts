import { DispatchError, type ErrorCode } from '@dicom-dispatch/core';

const unreachable = new Map([
  ['ENOTFOUND', 'the host name does not resolve'],
  ['EAI_AGAIN', 'the host name cannot be resolved at the moment'],
  ['ECONNREFUSED', 'connection refused'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to the network'],
  ['EHOSTDOWN', 'the host is down'],
  ['EADDRNOTAVAIL', 'the address cannot be used from this host'],
  ['ETIMEDOUT', 'no response'],
  ['UND_ERR_CONNECT_TIMEOUT', 'no response'],
]);

/** Resources of this machine that are exhausted; the peer is not the cause. */
const local = new Map([
  ['EMFILE', 'this process has reached its limit of open files and connections'],
  ['ENFILE', 'this host has reached its limit of open files'],
  ['ENOMEM', 'this host is out of memory'],
  ['ENOBUFS', 'this host is out of memory for connections'],
  ['EAI_MEMORY', 'this host is out of memory'],
]);

const lost = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET', 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH']);

const certificate = new Map([
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'the certificate is for another name'],
  ['CERT_HAS_EXPIRED', 'the certificate has expired'],
  ['CERT_NOT_YET_VALID', 'the certificate is not valid yet'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'the certificate is self-signed and not trusted'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'the certificate authority is not trusted'],
  ['UNABLE_TO_GET_ISSUER_CERT', 'the certificate authority is not trusted'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'the certificate authority is not trusted'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'the certificate authority is not trusted'],
  ['CERT_REVOKED', 'the certificate was revoked'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'this port does not use TLS'],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', 'this port does not use TLS'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'the peer requires a client certificate'],
  ['ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE', 'no common TLS version, cipher or client certificate'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'the peer does not trust the client certificate'],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'the peer does not accept the client certificate'],
  ['ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED', 'the client certificate has expired'],
  ['ERR_SSL_KEY_VALUES_MISMATCH', 'the client certificate and its key do not match'],
]);

/**
 * An error between us and a TCP or TLS peer, as a DispatchError. Handles the errors of node:net, node:tls, node:dns
 * and undici; an unknown one counts as a lost connection.
 *
 * @param host - name of the peer for the message
 */
export function networkError(thrown: unknown, host: string): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const code = codeOf(thrown);
  const reason = unreachable.get(code);
  if (reason) return of('target-unreachable', `${host} cannot be reached: ${reason} (${code})`, thrown);
  const ours = local.get(code);
  if (ours) return of('local-resources', `no connection to ${host}: ${ours} (${code})`, thrown);
  const tls = certificate.get(code);
  if (tls) return of('target-tls', `TLS with ${host} failed: ${tls} (${code})`, thrown);
  if (/^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|UNABLE_TO|EPROTO)/.test(code)) {
    return of('target-tls', `TLS with ${host} failed (${code})`, thrown);
  }
  if (/^HPE_|^HTTPParserError$/.test(code))
    return of('target-misconfigured', `${host} does not respond in HTTP (${code})`, thrown);
  if (lost.has(code)) return of('target-connection-lost', `the connection to ${host} was lost (${code})`, thrown);
  return of('target-connection-lost', `the connection to ${host} failed (${code})`, thrown);
}

function of(code: ErrorCode, message: string, cause: unknown): DispatchError {
  return new DispatchError(code, message, { cause });
}

/** The first code in an error, its inner errors (several addresses tried) and its causes. */
function codeOf(thrown: unknown, depth = 0): string {
  if (!(thrown instanceof Error) || depth > 5) return 'unknown';
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return codeOf(thrown.errors[0], depth + 1);
  // undici wraps errors of the socket; the inner code is more specific.
  const inner = thrown.cause instanceof Error ? codeOf(thrown.cause, depth + 1) : 'unknown';
  if (inner !== 'unknown') return inner;
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
}
