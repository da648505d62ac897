import { createHash, createHmac, createSign, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { Secret, type ConsoleConfig } from '@dicom-dispatch/core';
import { startHttpServer, type HttpStandIn } from '@dicom-dispatch/harness';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
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
  /** Creates the next ID tokens. */
  sign: (claims: Record<string, unknown>) => string;
  /** Keys that the provider publishes. */
  published: readonly Published[];
}

interface Published {
  readonly kid: string;
  readonly key: KeyObject;
}

/** An OpenID Connect provider that signs every user in, and checks the requests of the client. */
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
      return json({
        keys: provider.published.map(({ kid, key }) => ({
          ...key.export({ format: 'jwk' }),
          kid,
          alg: 'RS256',
          use: 'sig',
        })),
      });
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
    const signed = provider.sign(token);
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
    sign: (claims) => sign(claims),
    published: [{ kid: 'k1', key: keys.publicKey }],
    [Symbol.asyncDispose]: () => server.stop(),
  };
  return provider;
}

function sign(claims: object, kid = 'k1', key = keys.privateKey): string {
  const text = unsigned(claims, { alg: 'RS256', kid });
  return `${text}.${createSign('RSA-SHA256').update(text).sign(key, 'base64url')}`;
}

function unsigned(claims: object, header: object): string {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  return `${encode(header)}.${encode(claims)}`;
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
    { url } = test,
  ): Promise<{ status: number; location: string | null; cookie: string; text: string }> {
    const start = await fetch(`${url}/sign-in/oidc?to=/targets`, { redirect: 'manual' });
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

  it('gives the role of the groups, and redirects to the requested page', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['radiology', 'pacs-team', 'other'] };
    const { status, location, cookie } = await goThrough();
    expect([status, location]).toEqual([303, '/targets']);
    expect((await test.ask('GET', '/api/me', { headers: { cookie } })).body).toEqual({
      name: 'anna',
      role: 'operator',
      by: 'oidc',
    });
  });

  it('stores nothing of unfinished sign-ins', async () => {
    // By key, since keys may expire meanwhile.
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

  it('accepts no ID token with an invalid signature', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    expect((await goThrough()).status).toBe(303);
    provider.forgesSignature = true;
    expect((await goThrough()).status).toBe(401);
    provider.forgesSignature = false;
  });

  const now = (): number => Math.floor(Date.now() / 1000);
  const hmac = (claims: object, key: string | Buffer): string => {
    const text = unsigned(claims, { alg: 'HS256', kid: 'k1' });
    return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
  };
  it.each<[string, (claims: Record<string, unknown>) => string]>([
    ['without a signature', (claims) => `${unsigned(claims, { alg: 'none' })}.`],
    [
      'signed with the public key as a secret',
      (claims) => hmac(claims, keys.publicKey.export({ type: 'spki', format: 'pem' })),
    ],
    ['signed with the secret of the client', (claims) => hmac(claims, 'client-secret')],
    ['for another client', (claims) => sign({ ...claims, aud: 'another' })],
    ['for several clients, and another is meant', (claims) => sign({ ...claims, aud: ['console', 'x'], azp: 'x' })],
    ['of another provider', (claims) => sign({ ...claims, iss: 'https://evil.example' })],
    ['that has expired', (claims) => sign({ ...claims, exp: now() - 600, iat: now() - 1200 })],
    ['that never expires', (claims) => sign({ ...claims, exp: undefined })],
    ['of the future', (claims) => sign({ ...claims, nbf: now() + 600 })],
    ['without a nonce', (claims) => sign({ ...claims, nonce: undefined })],
    ['without a subject', (claims) => sign({ ...claims, sub: undefined })],
    ['of another key', (claims) => sign(claims, 'k1', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)],
    ['that is no token', () => 'x.y.z'],
  ])('takes no ID token %s', async (_, forge) => {
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    provider.sign = forge;
    const { status, cookie } = await goThrough();
    provider.sign = (claims) => sign(claims);
    expect([status, cookie]).toEqual([401, '']);
  });

  it('takes the new keys of a provider that changes them, and the old ones no longer', async () => {
    await using own = await startTestConsole({ console: { oidc: oidc({ operator: ['pacs-team'] }) } });
    const status = async (): Promise<number> => (await goThrough(undefined, own)).status;
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    const next = generateKeyPairSync('rsa', { modulusLength: 2048 });
    try {
      expect(await status()).toBe(303);
      provider.published = [{ kid: 'k2', key: next.publicKey }];
      // The keys are requested at most once a minute, independent of the tokens.
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 61_000 });
      provider.sign = (claims) => sign(claims, 'k2', next.privateKey);
      expect(await status()).toBe(303);
      provider.sign = (claims) => sign(claims);
      expect(await status()).toBe(401);
    } finally {
      vi.useRealTimers();
      provider.sign = (claims) => sign(claims);
      provider.published = [{ kid: 'k1', key: keys.publicKey }];
    }
  });

  it('takes an answer once: neither its code nor its state serve a second time', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    let used: URL | undefined;
    expect((await goThrough((callback) => (used = new URL(callback)))).status).toBe(303);
    // The same browser repeats its callback, and another sign-in uses the callback of this one.
    expect((await fetch(used!, { redirect: 'manual' })).headers.get('location')).toBe('/sign-in');
    expect((await goThrough((callback) => (callback.search = used!.search))).status).toBe(401);
  });

  it('never assigns the name of another user', async () => {
    const withUser = { ada: { password: new Secret('ada has a bicycle'), role: 'administrator' } };
    test.console.reload(testConfig({ console: { users: withUser, oidc: oidc({ viewer: ['canteen'] }) } }));
    for (const [chosen, shown] of [
      ['ada', 'oidc:ada'],
      ['ADA ', 'oidc:ADA'],
      ['token:backup', 'oidc:token:backup'],
      ['local', 'oidc:local'],
      ['anna', 'anna'],
      ['an\u202ena', String.raw`an\u202ena`],
    ]) {
      provider.claims = { preferred_username: chosen, groups: ['canteen'] };
      const { cookie } = await goThrough();
      expect((await test.ask('GET', '/api/me', { headers: { cookie } })).body).toMatchObject({ name: shown });
    }
    test.console.reload(test.config);
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

  it('rejects a user without a role', async () => {
    provider.claims = { preferred_username: 'eve', groups: ['canteen'] };
    const { status, cookie, text } = await goThrough();
    expect([status, cookie]).toEqual([401, '']);
    expect(text).toContain('eve has no role in this console');
  });

  it('rejects a response to another request: state, nonce, another browser', async () => {
    provider.claims = { preferred_username: 'anna', groups: ['pacs-team'] };
    expect((await goThrough((callback) => callback.searchParams.set('state', 'forged'))).status).toBe(401);
    provider.nonce = 'forged';
    expect((await goThrough()).status).toBe(401);
    provider.nonce = undefined;
    const answer = await fetch(`${test.url}/sign-in/oidc/callback?code=x&state=y`, { redirect: 'manual' });
    expect(answer.headers.get('location')).toBe('/sign-in');
  });

  it('uses the highest of several roles, and accepts a claim that is a single text', () => {
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
