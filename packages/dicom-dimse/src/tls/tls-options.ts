import type { SecureVersion } from 'node:tls';
import { DimseError } from '../errors/dimse-error.ts';
import { TLS_PROFILES } from './profiles.ts';
import type { TlsProfileName } from './profiles.ts';

/** PEM as text or bytes; several authorities or a chain as a list. */
export type Pem = string | Uint8Array | readonly (string | Uint8Array)[];

interface TlsCommon {
  /** Authorities that the peer's certificate is checked against. Default: those of node. */
  readonly ca?: Pem | undefined;
  /** Our certificate, with its intermediates. */
  readonly cert?: Pem | undefined;
  readonly key?: Pem | undefined;
  readonly passphrase?: string | undefined;
  /** Secure connection profile of PS3.15 annex B. Default `bcp195-rfc9325`. */
  readonly profile?: TlsProfileName | undefined;
  /** Overrides the profile. */
  readonly minVersion?: SecureVersion | undefined;
  readonly maxVersion?: SecureVersion | undefined;
  readonly ciphers?: string | undefined;
  /** Certificate revocation lists, PEM. */
  readonly crl?: Pem | undefined;
}

export interface TlsClientOptions extends TlsCommon {
  /** The server name to request and to expect in the peer's certificate. Default: `host`, if it is a name. */
  readonly servername?: string | undefined;
  /** Default true. False accepts any certificate: for tests only. */
  readonly rejectUnauthorized?: boolean | undefined;
  /** Default true. False verifies the chain, but not the name: certificates of devices often have none. */
  readonly verifyHostname?: boolean | undefined;
}

export interface TlsServerOptions extends TlsCommon {
  readonly cert: Pem;
  readonly key: Pem;
  /** Request client certificates and reject clients without a trusted one. Default true if `ca` is given. */
  readonly requestCert?: boolean | undefined;
}

/** The combination of profile and options, in node's terms. */
export function toSecureContext(options: TlsCommon): Record<string, unknown> {
  const name = options.profile ?? 'bcp195-rfc9325';
  const profile = TLS_PROFILES[name];
  if (profile === undefined) {
    const known = Object.keys(TLS_PROFILES).join(', ');
    throw new DimseError('invalid-argument', `tls.profile is ${name}; it must be one of ${known}`);
  }
  const result: Record<string, unknown> = {
    minVersion: options.minVersion ?? profile.minVersion,
    maxVersion: options.maxVersion ?? profile.maxVersion,
    ciphers: options.ciphers ?? profile.ciphers,
    ecdhCurve: profile.groups,
    honorCipherOrder: true,
  };
  for (const field of ['ca', 'cert', 'key', 'crl'] as const) {
    const value = options[field];
    if (value === undefined) continue;
    const parts = Array.isArray(value) ? (value as readonly (string | Uint8Array)[]) : [value as string | Uint8Array];
    result[field] = parts.map((part) => checkedPem(part, field));
  }
  if (options.passphrase !== undefined) result['passphrase'] = options.passphrase;
  return result;
}

/** Checked here, because node ignores text that is not PEM, and the handshake then fails for another reason. */
function checkedPem(value: string | Uint8Array, field: string): string {
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1');
  if (text.includes('-----BEGIN ')) return text;
  throw new DimseError('tls-material', `tls.${field} has no PEM block (-----BEGIN ...)`);
}
