import { DimseError } from './dimse-error.ts';
import type { DimseErrorCode } from './dimse-error.ts';

interface SystemError extends Error {
  readonly code?: string;
  readonly reason?: string;
  /** Of ERR_TLS_CERT_ALTNAME_INVALID: the certificate of the peer. */
  readonly cert?: { readonly subjectaltname?: string; readonly subject?: { readonly CN?: string | string[] } };
}

/** Messages of OpenSSL about a weak certificate of the peer, for which node has no code. */
const TOO_WEAK =
  /^(?:EE|CA) (certificate key|signature digest algorithm|certificate) too weak|key too (?:weak|small)|md too weak/i;
const MAX_NAMES = 200;

/** node and OpenSSL codes, each with our code and a message. The only place that handles them. */
const KNOWN: Readonly<Record<string, readonly [DimseErrorCode, string]>> = {
  ENOTFOUND: ['name-not-resolved', 'unknown host name: check its spelling and DNS'],
  EAI_AGAIN: ['name-not-resolved', 'the DNS server does not respond'],
  EAI_FAIL: ['name-not-resolved', 'the DNS server failed'],
  ECONNREFUSED: ['connect-refused', 'connection refused: no service listens on this port'],
  EHOSTUNREACH: ['connect-unreachable', 'no route to the host'],
  ENETUNREACH: ['connect-unreachable', 'no route to the network'],
  EHOSTDOWN: ['connect-unreachable', 'the host is down'],
  EPERM: ['connect-unreachable', 'this host does not allow the connection (firewall)'],
  EACCES: ['connect-unreachable', 'this host does not allow the connection (firewall)'],
  ETIMEDOUT: ['connect-timeout', 'the host does not respond'],
  ECONNRESET: ['connection-closed', 'the peer closed the connection abruptly'],
  ECONNABORTED: ['connection-closed', 'the connection was aborted'],
  EPIPE: ['connection-closed', 'the peer closed the connection'],
  SELF_SIGNED_CERT_IN_CHAIN: ['tls-untrusted', 'the certificate chain ends in an untrusted authority'],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['tls-untrusted', 'the certificate is self-signed and not trusted'],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: [
    'tls-untrusted',
    'the issuer of the certificate is not trusted, or an intermediate certificate is missing',
  ],
  UNABLE_TO_GET_ISSUER_CERT: ['tls-untrusted', 'an issuer in the certificate chain is not trusted'],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ['tls-untrusted', 'the issuer of the certificate is not trusted'],
  CERT_UNTRUSTED: ['tls-untrusted', 'the root certificate is not trusted for this purpose'],
  CERT_SIGNATURE_FAILURE: ['tls-untrusted', 'a signature in the certificate chain is invalid'],
  INVALID_PURPOSE: ['tls-untrusted', 'the certificate is not valid for this purpose (extended key usage)'],
  INVALID_CA: ['tls-untrusted', 'an issuer in the certificate chain is not a certificate authority'],
  PATH_LENGTH_EXCEEDED: ['tls-untrusted', 'the certificate chain is longer than an authority allows'],
  CERT_REJECTED: ['tls-untrusted', 'the root certificate is marked as rejected'],
  CERT_HAS_EXPIRED: ['tls-expired', 'the certificate has expired'],
  CERT_NOT_YET_VALID: ['tls-not-yet-valid', 'the certificate is not valid yet'],
  CERT_REVOKED: ['tls-revoked', 'the certificate was revoked'],
  ERR_TLS_CERT_ALTNAME_INVALID: ['tls-host-mismatch', 'the certificate is for another name'],
  ERR_SSL_WRONG_VERSION_NUMBER: ['tls-not-spoken', 'this port does not use TLS'],
  ERR_SSL_PACKET_LENGTH_TOO_LONG: ['tls-not-spoken', 'this port does not use TLS'],
  ERR_SSL_HTTP_REQUEST: ['tls-not-spoken', 'this port uses HTTP without TLS'],
  ERR_SSL_UNSUPPORTED_PROTOCOL: ['tls-version', 'no common TLS version'],
  ALERT_PROTOCOL_VERSION: ['tls-version', 'the peer rejected our TLS versions'],
  ERR_SSL_NO_SHARED_CIPHER: ['tls-cipher', 'no common cipher suite'],
  ALERT_HANDSHAKE_FAILURE: [
    'tls-cipher',
    'the peer rejected the handshake: no common cipher suite, or a client certificate is required',
  ],
  ALERT_CERTIFICATE_REQUIRED: ['tls-client-certificate-required', 'the peer requires a client certificate'],
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: ['tls-client-certificate-required', 'the client sent no certificate'],
  ALERT_UNKNOWN_CA: ['tls-client-certificate-rejected', 'the peer does not know the authority of our certificate'],
  ALERT_BAD_CERTIFICATE: ['tls-client-certificate-rejected', 'the peer rejected our certificate as invalid'],
  ALERT_CERTIFICATE_EXPIRED: ['tls-client-certificate-rejected', 'the peer rejected our certificate as expired'],
  ALERT_CERTIFICATE_REVOKED: ['tls-client-certificate-rejected', 'the peer rejected our certificate as revoked'],
  ALERT_CERTIFICATE_UNKNOWN: ['tls-client-certificate-rejected', 'the peer does not accept our certificate'],
  ALERT_UNSUPPORTED_CERTIFICATE: [
    'tls-client-certificate-rejected',
    'the peer does not support the type of our certificate',
  ],
  ALERT_ACCESS_DENIED: ['tls-client-certificate-rejected', 'the peer denies access for our certificate'],
  ERR_SSL_DH_KEY_TOO_SMALL: ['tls-weak', 'the Diffie-Hellman key of the peer is too short'],
  ALERT_INSUFFICIENT_SECURITY: ['tls-cipher', 'the peer requires a stronger cipher suite'],
  EMFILE: ['local-resources', 'this process has reached its limit of open files and connections (EMFILE)'],
  ENFILE: ['local-resources', 'this host has reached its limit of open files (ENFILE)'],
  ENOMEM: ['local-resources', 'this host is out of memory (ENOMEM)'],
  ENOBUFS: ['local-resources', 'this host is out of memory for connections (ENOBUFS)'],
  EADDRNOTAVAIL: ['local-resources', 'no local port is free, or no local address fits (EADDRNOTAVAIL)'],
  ERR_MEMORY_ALLOCATION_FAILED: ['local-resources', 'this host is out of memory'],
  ERR_OSSL_BAD_DECRYPT: ['tls-material', 'the passphrase of the private key is wrong'],
  ERR_OSSL_PEM_NO_START_LINE: ['tls-material', 'a certificate or the private key is not PEM'],
  ERR_OSSL_PEM_BAD_PASSWORD_READ: ['tls-material', 'the private key needs a passphrase'],
  ERR_MISSING_PASSPHRASE: ['tls-material', 'the private key needs a passphrase'],
  ERR_OSSL_CRYPTO_INTERRUPTED_OR_CANCELLED: ['tls-material', 'the private key needs a passphrase'],
  ERR_OSSL_X509_KEY_VALUES_MISMATCH: ['tls-material', 'the private key does not belong to the certificate'],
  ERR_SSL_KEY_VALUES_MISMATCH: ['tls-material', 'the private key does not belong to the certificate'],
  ERR_OSSL_X509_KEY_TYPE_MISMATCH: ['tls-material', 'the private key does not belong to the certificate'],
  ERR_OSSL_UNSUPPORTED: ['tls-material', 'a certificate or the private key has a format that is not supported'],
  ERR_SSL_EE_KEY_TOO_SMALL: ['tls-material', 'the key of our certificate is too short for the TLS profile'],
  ERR_SSL_CA_MD_TOO_WEAK: [
    'tls-material',
    'one of our certificates is signed with a digest that is too weak for the TLS profile',
  ],
  ERR_SSL_NO_CIPHER_MATCH: ['tls-material', 'none of the requested cipher suites is supported here'],
};

/** Errors about an address of a family that this host does not have. */
const NOT_HERE: ReadonlySet<string> = new Set(['EADDRNOTAVAIL', 'ENETUNREACH', 'EAFNOSUPPORT']);

/** OpenSSL names an alert by the version that introduced it, and newer releases by no version. */
const ALERT = /^ERR_SSL_(?:SSLV3|TLSV1|TLSV13|SSL\/TLS)_ALERT_/;

/**
 * Translates an error of a socket of node.
 *
 * @param fallback the code for anything not listed: `tls-material` while certificates and key are read, `connect-failed` while
 * connecting, `connection-closed` after that.
 */
export function translateSocketError(cause: Error, peer: string, fallback: DimseErrorCode): DimseError {
  const code = codeOf(cause);
  const known = KNOWN[code.replace(ALERT, 'ALERT_')];
  if (known !== undefined) {
    const text = `${peer}: ${known[1]}${namesOf(cause as SystemError)}`;
    return new DimseError(fallbackFor(known[0], fallback), text, { cause });
  }
  if (TOO_WEAK.test(cause.message)) {
    return new DimseError('tls-weak', `${peer}: the certificate is too weak for the TLS profile: ${cause.message}`, {
      cause,
    });
  }
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || code.startsWith('ERR_OSSL')) {
    const reason = (cause as SystemError).reason ?? code;
    // Before anything is connected, only our own certificates and key can be wrong.
    const failed = fallback === 'tls-material' ? fallback : 'tls-failed';
    return new DimseError(failed, `${peer}: TLS failed: ${reason}`, { cause });
  }
  return new DimseError(fallback, `${peer}: connection failed${code === '' ? '' : ` (${code})`}`, { cause });
}

/** If several addresses were tried, an error of a peer is preferred to one about an address that this host cannot use. */
function codeOf(cause: Error): string {
  const all: readonly SystemError[] =
    cause instanceof AggregateError && cause.errors.length > 0 ? cause.errors : [cause];
  const codes = all.map(({ code }) => code ?? '');
  return codes.find((code) => !NOT_HERE.has(code)) ?? codes[0] ?? '';
}

/** A timeout or an unreachable host after the connection was established is a lost connection. */
function fallbackFor(code: DimseErrorCode, fallback: DimseErrorCode): DimseErrorCode {
  return fallback === 'connection-closed' && code.startsWith('connect-') ? fallback : code;
}

/** The names in a certificate, if they do not include the expected one. */
function namesOf({ code, cert }: SystemError): string {
  if (code !== 'ERR_TLS_CERT_ALTNAME_INVALID') return '';
  const names = cert?.subjectaltname ?? [cert?.subject?.CN ?? []].flat().join(', ');
  return names === '' ? ': it carries none' : `: ${names.slice(0, MAX_NAMES)}`;
}
