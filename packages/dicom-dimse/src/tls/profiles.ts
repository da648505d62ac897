import type { SecureVersion } from 'node:tls';

/** A Secure Transport Connection Profile of PS3.15 annex B, in OpenSSL's terms. */
export interface TlsProfile {
  readonly title: string;
  readonly section: string;
  readonly minVersion: SecureVersion;
  readonly maxVersion: SecureVersion;
  readonly ciphers: string;
  readonly groups: string;
}

const TLS13 = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
const ECDHE_GCM = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
].join(':');
const DHE_GCM = 'DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384';
/** What old peers may offer; BCP 195 of 2015 allows it as a fallback. */
const LEGACY = 'ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:AES128-SHA';
const GROUPS = 'X25519:P-256:P-384:P-521';

/**
 * - `bcp195-rfc9325`: BCP 195 RFC 8996, 9325 (B.12): TLS 1.2 with forward secrecy and AEAD, and 1.3. The default.
 * - `bcp195-rfc9325-modified`: Modified BCP 195 RFC 8996, 9325 (B.13): TLS 1.3, or 1.2 with 256-bit suites.
 * - `bcp195-nd`: Non-Downgrading BCP 195 (B.10): TLS 1.2 or later.
 * - `bcp195`: BCP 195 (B.9, retired): TLS 1.0 or later. Only for devices that support nothing better; OpenSSL 3 needs
 *   a lower security level, which is set in the ciphers.
 * - `bcp195-extended`: Extended BCP 195 (B.11, retired): TLS 1.2 with four suites.
 */
export const TLS_PROFILES = {
  'bcp195-rfc9325': {
    title: 'BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile',
    section: 'PS3.15 B.12',
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: `${TLS13}:${ECDHE_GCM}:${DHE_GCM}`,
    groups: GROUPS,
  },
  'bcp195-rfc9325-modified': {
    title: 'Modified BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile',
    section: 'PS3.15 B.13',
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers:
      'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384',
    groups: 'X25519:P-256:P-384:P-521',
  },
  'bcp195-nd': {
    title: 'Non-Downgrading BCP 195 TLS Secure Transport Connection Profile',
    section: 'PS3.15 B.10',
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    ciphers: `${TLS13}:${ECDHE_GCM}:${DHE_GCM}`,
    groups: GROUPS,
  },
  bcp195: {
    title: 'BCP 195 TLS Secure Transport Connection Profile',
    section: 'PS3.15 B.9',
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.3',
    ciphers: `${TLS13}:${ECDHE_GCM}:${DHE_GCM}:${LEGACY}:@SECLEVEL=0`,
    groups: GROUPS,
  },
  'bcp195-extended': {
    title: 'Extended BCP 195 TLS Secure Transport Connection Profile',
    section: 'PS3.15 B.11',
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    ciphers:
      'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256',
    groups: 'X25519:P-256:P-384:P-521',
  },
} as const satisfies Record<string, TlsProfile>;

export type TlsProfileName = keyof typeof TLS_PROFILES;
