import { roles, type ConsoleConfig, type Role } from '@dicom-dispatch/core';
import { isLoopback } from '@dicom-dispatch/runtime';
import type { FastifyRequest } from 'fastify';
import * as client from 'openid-client';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import { ConsoleError } from '../console-error.ts';
import type { ConsoleContext } from '../console-context.ts';
import { sendSignInPage } from '../pages/sign-in-page.ts';
import { safeDestination, startSession } from './start-session.ts';

type Oidc = NonNullable<ConsoleConfig['oidc']>;

const stateCookie = 'dispatch-oidc';
const stateSeconds = 600;
const kept = z.object({ verifier: z.string(), nonce: z.string(), to: z.string() });

/** Sign-in with an OpenID Connect provider: authorization code with PKCE, state and nonce. */
export function addOidc(server: ApiServer, context: ConsoleContext): void {
  let discovered: { readonly issuer: string; readonly config: Promise<client.Configuration> } | undefined;

  server.get('/sign-in/oidc', { config: { access: 'public' } }, async (request, reply) => {
    const { oidc } = context.config().console;
    if (!oidc) return reply.redirect('/sign-in');
    try {
      const verifier = client.randomPKCECodeVerifier();
      const state = client.randomState();
      const nonce = client.randomNonce();
      const { to } = request.query as { to?: unknown };
      const url = client.buildAuthorizationUrl(await discover(oidc), {
        redirect_uri: callbackUrl(request),
        scope: oidc.scopes,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      });
      const data = JSON.stringify({ verifier, nonce, to: safeDestination(to) });
      await context.redis.set(stateKey(state), data, 'EX', stateSeconds);
      void reply.setCookie(stateCookie, state, {
        path: '/sign-in/oidc',
        httpOnly: true,
        sameSite: 'lax',
        secure: context.isSecure,
        maxAge: stateSeconds,
      });
      return reply.redirect(url.href);
    } catch (error) {
      return fail(request, reply, error);
    }
  });

  server.get('/sign-in/oidc/callback', { config: { access: 'public' } }, async (request, reply) => {
    const { oidc } = context.config().console;
    const state = request.cookies[stateCookie];
    void reply.clearCookie(stateCookie, { path: '/sign-in/oidc' });
    if (!oidc || state === undefined || state.length > 200) return reply.redirect('/sign-in');
    try {
      const text = await context.redis.getdel(stateKey(state));
      if (text === null) throw new ConsoleError('sign-in-failed', 'the sign-in took too long: try again');
      const { verifier, nonce, to } = kept.parse(JSON.parse(text));
      const current = new URL(callbackUrl(request));
      current.search = new URL(request.url, current).search;
      const tokens = await client.authorizationCodeGrant(await discover(oidc), current, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
      });
      const who = identify(oidc, (tokens.claims() ?? {}) as Record<string, unknown>);
      await startSession(context, reply, { ...who, by: 'oidc' });
      await context.audit.write({
        who: who.name,
        role: who.role,
        action: 'sign-in',
        subject: '',
        outcome: 'done',
        detail: 'by OpenID Connect',
        address: request.ip,
      });
      return reply.redirect(to, 303);
    } catch (error) {
      return fail(request, reply, error);
    }
  });

  async function fail(request: FastifyRequest, reply: Parameters<typeof sendSignInPage>[2], error: unknown) {
    context.log.warn({ err: error }, 'sign-in with OpenID Connect failed');
    await context.audit.write({
      who: '',
      role: '',
      action: 'sign-in',
      subject: '',
      outcome: 'failed',
      detail: 'by OpenID Connect',
      address: request.ip,
    });
    const message =
      error instanceof ConsoleError ? error.message : 'the identity provider could not be used; the log says why';
    void reply.code(401);
    return sendSignInPage(context, request, reply, { to: '/studies', message: `You are not signed in: ${message}.` });
  }

  function discover(oidc: Oidc): Promise<client.Configuration> {
    if (discovered?.issuer === oidc.issuer) return discovered.config;
    const issuer = new URL(oidc.issuer);
    // Tokens in the clear are for a provider on this machine only.
    const execute = issuer.protocol === 'http:' && isLoopback(issuer.hostname) ? [client.allowInsecureRequests] : [];
    const config = client.discovery(issuer, oidc.clientId, oidc.clientSecret?.reveal(), undefined, { execute });
    discovered = { issuer: oidc.issuer, config };
    // A provider that was away is asked again next time.
    config.catch(() => (discovered = undefined));
    return config;
  }

  function callbackUrl(request: FastifyRequest): string {
    const base = context.config().console.publicUrl ?? `${request.protocol}://${request.headers.host ?? ''}`;
    return new URL('/sign-in/oidc/callback', base).href;
  }

  function stateKey(state: string): string {
    return `${context.config().redis.prefix}:oidc:${state}`;
  }
}

/**
 * Name and role of who signed in: the highest role that a value of the claim gives.
 *
 * @throws ConsoleError `sign-in-failed` for somebody who has no role here
 */
export function identify(oidc: Oidc, claims: Readonly<Record<string, unknown>>): { name: string; role: Role } {
  const subject = typeof claims['sub'] === 'string' ? claims['sub'] : '';
  const named = claims[oidc.userClaim];
  const name = (typeof named === 'string' && named !== '' ? named : subject).slice(0, 100);
  const claim = claims[oidc.roleClaim];
  const values = new Set(Array.isArray(claim) ? claim : [claim]);
  const role = roles.findLast((one) => oidc.roles[one].some((value) => values.has(value)));
  if (!role) throw new ConsoleError('sign-in-failed', `${name} has no role here: ask an administrator`);
  return { name, role };
}
