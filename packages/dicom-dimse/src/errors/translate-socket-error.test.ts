import { describe, expect, it } from 'vitest';
import { DimseError, isDimseError } from './dimse-error.ts';
import type { DimseErrorCode } from './dimse-error.ts';
import { translateSocketError } from './translate-socket-error.ts';

const systemError = (code: string | undefined, message = 'x', more: object = {}): Error =>
  Object.assign(new Error(message), code === undefined ? more : { code, ...more });
const translated = (error: Error, fallback: DimseErrorCode = 'connect-failed'): string => {
  const { code, message, cause } = translateSocketError(error, 'pacs:104', fallback);
  expect(cause).toBe(error);
  return `${code}: ${message}`;
};

describe('an error of a socket', () => {
  it.each([
    ['ECONNREFUSED', 'connect-refused: pacs:104: connection refused: no service listens on this port'],
    ['ENOTFOUND', 'name-not-resolved: pacs:104: unknown host name: check its spelling and DNS'],
    ['CERT_HAS_EXPIRED', 'tls-expired: pacs:104: the certificate has expired'],
    ['EMFILE', 'local-resources: pacs:104: this process has reached its limit of open files and connections (EMFILE)'],
    [
      'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
      'tls-cipher: pacs:104: the peer rejected the handshake: no common cipher suite, or a client certificate is required',
    ],
    [
      'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
      'tls-client-certificate-rejected: pacs:104: the peer does not know the authority of our certificate',
    ],
    [
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'tls-client-certificate-required: pacs:104: the peer requires a client certificate',
    ],
    [
      'ERR_SSL_SSL/TLS_ALERT_UNKNOWN_CA',
      'tls-client-certificate-rejected: pacs:104: the peer does not know the authority of our certificate',
    ],
    ['ERR_SSL_SOMETHING_NEW', 'tls-failed: pacs:104: TLS failed: ERR_SSL_SOMETHING_NEW'],
    ['ERR_TLS_SOMETHING_NEW', 'tls-failed: pacs:104: TLS failed: ERR_TLS_SOMETHING_NEW'],
    ['ERR_OSSL_SOMETHING_NEW', 'tls-failed: pacs:104: TLS failed: ERR_OSSL_SOMETHING_NEW'],
    ['EWHATEVER', 'connect-failed: pacs:104: connection failed (EWHATEVER)'],
    [undefined, 'connect-failed: pacs:104: connection failed'],
  ])('%s has a code and a text', (code, expected) => {
    expect(translated(systemError(code))).toBe(expected);
  });

  it('of OpenSSL without a text of ours has the reason of OpenSSL', () => {
    expect(translated(systemError('ERR_SSL_NEW', 'x', { reason: 'odd record' }))).toBe(
      'tls-failed: pacs:104: TLS failed: odd record',
    );
  });

  it('of OpenSSL is one of our certificates and key if they are read', () => {
    const damaged = systemError('ERR_OSSL_PEM_BAD_BASE64_DECODE', 'x', { reason: 'bad base64 decode' });
    expect(translated(damaged, 'tls-material')).toBe('tls-material: pacs:104: TLS failed: bad base64 decode');
  });

  it('is a lost connection if the connection was established before', () => {
    const lost = 'connection-closed';
    expect(translated(systemError('ETIMEDOUT'), lost)).toBe('connection-closed: pacs:104: the host does not respond');
    expect(translated(systemError('EHOSTUNREACH'), lost)).toContain('connection-closed: ');
    expect(translated(systemError('ECONNRESET'), lost)).toContain('connection-closed: ');
    expect(translated(systemError('ENOMEM'), lost)).toContain('local-resources: ');
    expect(translated(systemError('ETIMEDOUT'))).toContain('connect-timeout: ');
    expect(translated(systemError('ETIMEDOUT'), 'tls-failed')).toContain('connect-timeout: ');
  });

  it.each([
    'EE certificate key too weak',
    'CA signature digest algorithm too weak',
    'dh key too small',
    'ca md too weak',
  ])('about a certificate is that it is too weak: %s', (message) => {
    expect(translated(systemError(undefined, message))).toBe(
      `tls-weak: pacs:104: the certificate is too weak for the TLS profile: ${message}`,
    );
  });

  it('about a name shows the names in the certificate, shortened', () => {
    const code = 'ERR_TLS_CERT_ALTNAME_INVALID';
    const of = (cert: object | undefined): string => translated(systemError(code, 'x', cert && { cert }));
    const start = 'tls-host-mismatch: pacs:104: the certificate is for another name';
    expect(of({ subjectaltname: 'DNS:a, DNS:b', subject: { CN: 'c' } })).toBe(`${start}: DNS:a, DNS:b`);
    expect(of({ subject: { CN: 'c' } })).toBe(`${start}: c`);
    expect(of({ subject: { CN: ['c', 'd'] } })).toBe(`${start}: c, d`);
    expect(of({ subject: {} })).toBe(`${start}: it carries none`);
    expect(of(undefined)).toBe(`${start}: it carries none`);
    expect(of({ subjectaltname: 'x'.repeat(300) })).toBe(`${start}: ${'x'.repeat(200)}`);
    expect(translated(systemError('CERT_REVOKED', 'x', { cert: { subjectaltname: 'DNS:a' } }))).not.toContain('DNS:a');
  });

  it('of several addresses is that of a peer, before that of an address which this host cannot use', () => {
    const of = (...codes: (string | undefined)[]): string =>
      translated(new AggregateError(codes.map((code) => systemError(code))));
    expect(of('ENETUNREACH', 'ECONNREFUSED')).toContain('connect-refused: ');
    expect(of('ECONNREFUSED', 'ENETUNREACH')).toContain('connect-refused: ');
    expect(of('EADDRNOTAVAIL', 'EAFNOSUPPORT')).toContain('local-resources: ');
    expect(of('ENETUNREACH', 'EAFNOSUPPORT')).toContain('connect-unreachable: ');
    expect(of()).toBe('connect-failed: pacs:104: connection failed');
  });
});

it('an error is recognized by its class and its code', () => {
  const error = new DimseError('aborted', 'x');
  expect(isDimseError(error)).toBe(true);
  expect(isDimseError(error, 'cancelled', 'aborted')).toBe(true);
  expect(isDimseError(error, 'cancelled')).toBe(false);
  expect(isDimseError(Object.assign(new Error('x'), { code: 'aborted' }))).toBe(false);
  expect('cause' in error).toBe(false);
  expect(new DimseError('aborted', 'x', { cause: null }).cause).toBeNull();
});
