import { describe, expect, it } from 'vitest';
import { TLS_PROFILES } from './profiles.ts';
import { toSecureContext } from './tls-options.ts';

const PEM = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';

describe('TLS', () => {
  it('has the default profile: TLS 1.2 and 1.3, the default order of ciphers, and only the given options', () => {
    const { ciphers, groups } = TLS_PROFILES['bcp195-rfc9325'];
    expect(toSecureContext({})).toEqual({
      minVersion: 'TLSv1.2',
      maxVersion: 'TLSv1.3',
      ciphers,
      ecdhCurve: groups,
      honorCipherOrder: true,
    });
  });

  it('has another profile, and options that override it', () => {
    expect(toSecureContext({ profile: 'bcp195-extended' })).toMatchObject({ maxVersion: 'TLSv1.2' });
    expect(toSecureContext({ profile: 'bcp195' })).toMatchObject({ minVersion: 'TLSv1' });
    expect(toSecureContext({ minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3', ciphers: 'X' })).toMatchObject({
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      ciphers: 'X',
    });
    expect(() => toSecureContext({ profile: 'none' as 'bcp195' })).toThrow(
      expect.objectContaining({
        code: 'invalid-argument',
        message: `tls.profile is none; it must be one of ${Object.keys(TLS_PROFILES).join(', ')}`,
      }),
    );
  });

  it('takes PEM as text, as bytes, or as a list of either', () => {
    expect(
      toSecureContext({ ca: PEM, cert: Buffer.from(PEM), key: [PEM, Buffer.from(PEM)], crl: PEM, passphrase: 'p' }),
    ).toMatchObject({
      ca: [PEM],
      cert: [PEM],
      key: [PEM, PEM],
      crl: [PEM],
      passphrase: 'p',
    });
  });

  it.each(['ca', 'cert', 'key', 'crl'] as const)('%s that is no PEM is refused by its name', (field) => {
    for (const value of ['', 'x', [PEM, 'x'], Buffer.from('DER')])
      expect(() => toSecureContext({ [field]: value })).toThrow(
        expect.objectContaining({ code: 'tls-material', message: `tls.${field} has no PEM block (-----BEGIN ...)` }),
      );
  });
});
