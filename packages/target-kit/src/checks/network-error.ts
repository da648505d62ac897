import {
  DispatchError,
  innermostError,
  localShortage,
  type DispatchErrorOptions,
  type ErrorCode,
} from '@dicom-dispatch/core';

const unreachable = new Map([
  ['ENOTFOUND', 'the host name does not resolve'],
  ['EAI_AGAIN', 'the host name cannot be resolved at the moment'],
  ['ECONNREFUSED', 'connection refused'],
  ['EHOSTUNREACH', 'no route to the host'],
  ['ENETUNREACH', 'no route to the network'],
  ['EHOSTDOWN', 'the host is down'],
  ['ETIMEDOUT', 'no response'],
  ['UND_ERR_CONNECT_TIMEOUT', 'no response'],
]);

/** Reported if a firewall of this host, or of its container or service (IPAddressDeny in systemd), rejects the connection. */
const forbidden = new Set(['EPERM', 'EACCES']);

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
 * An error of the connection to a TCP or TLS peer, as a DispatchError. Handles the errors of node:net, node:tls, node:dns and
 * undici; an unknown one counts as a lost connection.
 *
 * @param host - name of the peer for the message
 */
export function networkError(thrown: unknown, host: string, options: DispatchErrorOptions = {}): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  const inner = innermostError(thrown);
  const code = codeOf(inner);
  const of = (is: ErrorCode, message: string, remedy?: string): DispatchError =>
    new DispatchError(is, message, { cause: thrown, ...(remedy !== undefined && { remedy }), ...options });
  const shortage = localShortage(inner);
  if (shortage) {
    return of('local-resources', `no connection to ${host}: ${shortage.reason} (${code})`, shortage.remedy);
  }
  const reason = unreachable.get(code);
  if (reason) return of('target-unreachable', `${host} cannot be reached: ${reason} (${code})`);
  if (forbidden.has(code)) {
    return of(
      'target-unreachable',
      `${host} cannot be reached: this host does not allow the connection (${code})`,
      'Allow the connection in the firewall of this host.',
    );
  }
  const tls = certificate.get(code);
  if (tls) return of('target-tls', `TLS with ${host} failed: ${tls} (${code})`);
  if (/^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|UNABLE_TO|EPROTO)/.test(code)) {
    return of('target-tls', `TLS with ${host} failed (${code})`);
  }
  if (/^HPE_|^HTTPParserError$/.test(code))
    return of('target-misconfigured', `${host} does not respond in HTTP (${code})`);
  if (lost.has(code)) return of('target-connection-lost', `the connection to ${host} was lost (${code})`);
  return of('target-connection-lost', `the connection to ${host} failed (${code})`);
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'unknown';
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : thrown.name;
}
