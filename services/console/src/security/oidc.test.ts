import { createHash, createSign, generateKeyPairSync } from 'node:crypto';
import { Secret, type ConsoleConfig } from '@dicom-dispatch/core';
import { startHttpServer, type HttpStandIn } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestConsole, testConfig, type TestConsole } from '../testing/start-test-console.ts';
import { identify } from './oidc.ts';

const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });

interface Provider extends AsyncDisposable {
  readonly url: string;
  /** Claims of the next tokens. */
  claims: Record<string, unknown>;
  /** Replaces the requested nonce. */
  nonce: string | undefined;
  forgesSignature: boolean;
}

/** An OpenID Connect provider that signs every user in, and checks what the Standard allows it to check. */
async function startProvider(): Promise<Provider> {
  const codes = new Map<string, { challenge: string; nonce: string }>();
  const server: HttpStandIn = await startHttpServer((request, response) => {
    const json = (body: unknown, status = 200): void => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(body));
    };
    if (request.path === '/.well-known/openid-configuration') {
      return json({
        issuer: provider.url,
        authorization_endpoint: `${provider.url}/authorize`,
        token_endpoint: `${provider.url}/token`,
        jwks_uri: `${provider.url}/jwks`,
        response_types_supported: ['code'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
      });
    }
    if (request.path === '/jwks')
      return json({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k1', alg: 'RS256', use: 'sig' }] });
    if (request.path === '/authorize') {
      const code = `code-${codes.size}`;
      codes.set(code, {
        challenge: request.query.get('code_challenge') ?? '',
        nonce: request.query.get('nonce') ?? '',
      });
      const back = new URL(request.query.get('redirect_uri') ?? '');
      back.searchParams.set('code', code);
      back.searchParams.set('state', request.query.get('state') ?? '');
      response.writeHead(302, { location: back.href });
      response.end();
      return undefined;
    }
    const form = new URLSearchParams(request.body.toString());
    const asked = codes.get(form.get('code') ?? '');
    codes.delete(form.get('code') ?? '');
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    if (!asked || asked.challenge !== challenge) return json({ error: 'invalid_grant' }, 400);
    const now = Math.floor(Date.now() / 1000);
    const token = {
      iss: provider.url,
      aud: 'console',
      sub: 'subject-1',
      iat: now,
      exp: now + 60,
      nonce: provider.nonce ?? asked.nonce,
      ...provider.claims,
    };
    const signed = sign(token);
    const idToken = provider.forgesSignature
      ? `${signed.slice(0, signed.lastIndexOf('.'))}.${'A'.repeat(342)}`
      : signed;
    return json({ access_token: 'x', token_type: 'bearer', id_token: idToken });
  });
  const provider: Provider = {
    url: server.url,
    claims: {},
    nonce: undefined,
    forgesSignature: false,
    [Symbol.asyncDispose]: () => server.stop(),
  };
  return provider;
}

function sign(claims: object): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const text = `${encode({ alg: 'RS256', kid: 'k1' })}.${encode(claims)}`;
  return `${text}.${createSign('RSA-SHA256').update(text).sign(keys.privateKey, 'base64url')}`;
}

describe('sign-in with OpenID Connect', () => {
  let provider: Provider;
  let test: TestConsole;
  beforeAll(async () => {
    provider = await startProvider();
    test = await startTestConsole({ console: { oidc: oidc({ viewer: ['radiology'], operator: ['pacs-team'] }) } });
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    await provider[Symbol.asyncDispose]();
  });

  const oidc = (roles: Record<string, string[]>): Record<string, unknown> => ({
    issuer: provider.url,
    clientId: 'console',
    clientSecret: new Secret('client-secret'),
    roles,
  });

  /** Follows the complete sign-in like a browser; returns the last response and the cookies. */
  async function goThrough(
    change: (callback: URL) => void = () => {},
  ): Promise<{ status: number; location: string | null; cookie: string; text: string }> {
    const start = await fetch(`${test.url}/sign-in/oidc?to=/targets`, { redirect: 'manual' });
    const cookie = start.headers
      .getSetCookie()
      .map((each) => each.split(';')[0])
      .join('; ');
    const authorize = await fetch(start.headers.get('location') ?? '', { redirect: 'manual' });
    const callback = new URL(authorize.headers.get('location') ?? '');
    change(callback);
    const end = await fetch(callback, { redirect: 'manual', headers: { cookie } });
    const session =
      end.headers
        .getSetCookie()
        .find((each) => each.startsWith('dispatch='))
        ?.split(';')[0] ?? '';
    return { status: end.status, location: end.headers.get('location'), cookie: session, text: await end.text() };
  }

  it('gives the role that the groups give, and leads to where somebody wanted to go', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['radiology', 'pacs-team', 'other'] };
    const { status, location, cookie } = await goThrough();
    expect([status, location]).toEqual([303, '/targets']);
    expect((await test.ask('GET', '/api/me', { headers: { cookie } })).body).toEqual({
      name: 'anna',
      role: 'operator',
      by: 'oidc',
    });
  });

  it('keeps nothing of sign-ins that are only begun', async () => {
    // Of each key: what expires meanwhile may go.
    const bytesByKey = async () =>
      new Map(
        await Promise.all(
          (await test.redis.keys('*')).map(
            async (key) => [key, Number(await test.redis.memory('USAGE', key, 'SAMPLES', 0))] as const,
          ),
        ),
      );
    const before = await bytesByKey();
    for (let count = 0; count < 150; count += 1) {
      const answer = await fetch(`${test.url}/sign-in/oidc?to=/${'x'.repeat(8000)}`, { redirect: 'manual' });
      expect(answer.status).toBe(302);
      expect((answer.headers.getSetCookie()[0] ?? '').length).toBeLessThan(1000);
    }
    const grown = [...(await bytesByKey())].filter(([key, bytes]) => bytes - (before.get(key) ?? 0) > 1000);
    expect(grown).toEqual([]);
  });

  it('takes no ID token whose signature is not right', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    expect((await goThrough()).status).toBe(303);
    provider.forgesSignature = true;
    expect((await goThrough()).status).toBe(401);
    provider.forgesSignature = false;
  });

  it('ends sessions when the groups of the configuration change, and gives the role that they give now', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    const { cookie } = await goThrough();
    const me = async () => test.ask('GET', '/api/me', { headers: { cookie } });
    expect((await me()).body).toMatchObject({ role: 'operator' });
    test.console.reload(testConfig({ console: { oidc: oidc({ viewer: ['pacs-team'] }) } }));
    expect((await me()).body).toMatchObject({ role: 'viewer' });
    test.console.reload(testConfig({ console: { oidc: oidc({ viewer: ['others'] }) } }));
    expect((await me()).status).toBe(401);
    test.console.reload(test.config);
  });

  it('refuses somebody without a role here', async () => {
    provider.claims = { preferred_username: 'eve', groups: ['canteen'] };
    const { status, cookie, text } = await goThrough();
    expect([status, cookie]).toEqual([401, '']);
    expect(text).toContain('eve has no role in this console');
  });

  it('refuses an answer to another question: state, nonce, another browser', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    expect((await goThrough((callback) => callback.searchParams.set('state', 'forged'))).status).toBe(401);
    provider.nonce = 'forged';
    expect((await goThrough()).status).toBe(401);
    provider.nonce = undefined;
    const answer = await fetch(`${test.url}/sign-in/oidc/callback?code=x&state=y`, { redirect: 'manual' });
    expect(answer.headers.get('location')).toBe('/sign-in');
  });

  it('takes the highest of several roles, and a claim that is a single text', () => {
    const oidc = {
      userClaim: 'email',
      roleClaim: 'role',
      roles: { viewer: ['a'], operator: [], editor: [], administrator: ['c'] },
    } as unknown as NonNullable<ConsoleConfig['oidc']>;
    expect(identify(oidc, { sub: 's', email: 'x@y', role: ['a', 'c'] })).toEqual({
      name: 'x@y',
      role: 'administrator',
      values: ['a', 'c'],
    });
    expect(identify(oidc, { sub: 's', role: 'a' })).toEqual({ name: 's', role: 'viewer', values: ['a'] });
    expect(() => identify(oidc, { sub: 's', role: 'b' })).toThrow(/no role/);
  });
});
