import { fingerprint, isLoopback, printable, type ConsoleConfig } from '@dicom-dispatch/core';
import type { FastifyRequest } from 'fastify';
import * as client from 'openid-client';
import { z } from 'zod';
import type { ApiServer } from '../api/api-server.ts';
import { ConsoleError } from '../console-error.ts';
import type { ConsoleContext } from '../console-context.ts';
import { sendSignInPage } from '../pages/sign-in-page.ts';
import { knownValues, roleOf } from './oidc-role.ts';
import { safeDestination, startSession } from './start-session.ts';

type Oidc = NonNullable<ConsoleConfig['oidc']>;

const stateCookie = 'dispatch-oidc';
const stateMs = 600_000;
const maxCookieLength = 4_000;
/** A failed provider is not contacted again for this time, because unknown callers could trigger it. */
const restMs = 5_000;
const timeoutSeconds = 10;
const kept = z.object({ state: z.string(), verifier: z.string(), nonce: z.string(), to: z.string() });

/**
 * Sign-in with an OpenID Connect provider: authorization code with PKCE, state and nonce. The state between the steps
 * is in an encrypted cookie: an unfinished sign-in leaves nothing in Redis.
 */
export function addOidc(server: ApiServer, context: ConsoleContext): void {
  let discovered: { readonly of: string; readonly config: Promise<client.Configuration> } | undefined;

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
      const sealed = context.keys.seal('oidc', { state, verifier, nonce, to: safeDestination(to) }, stateMs);
      void reply.setCookie(stateCookie, sealed, {
        path: '/sign-in/oidc',
        httpOnly: true,
        sameSite: 'lax',
        secure: context.isSecure,
        maxAge: stateMs / 1000,
      });
      return reply.redirect(url.href);
    } catch (error) {
      return fail(request, reply, error);
    }
  });

  server.get('/sign-in/oidc/callback', { config: { access: 'public' } }, async (request, reply) => {
    const { oidc } = context.config().console;
    const sealed = request.cookies[stateCookie];
    void reply.clearCookie(stateCookie, { path: '/sign-in/oidc' });
    if (!oidc || sealed === undefined || sealed.length > maxCookieLength) return reply.redirect('/sign-in');
    try {
      const opened = kept.safeParse(context.keys.open('oidc', sealed));
      if (!opened.success) throw new ConsoleError('sign-in-failed', 'the sign-in took too long: try again');
      const { state, verifier, nonce, to } = opened.data;
      const current = new URL(callbackUrl(request));
      current.search = new URL(request.url, current).search;
      const tokens = await client.authorizationCodeGrant(await discover(oidc), current, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
      });
      const { name, role, values } = identify(
        oidc,
        (tokens.claims() ?? {}) as Record<string, unknown>,
        Object.keys(context.config().console.users ?? {}),
      );
      await startSession(context, request, reply, { name, by: 'oidc', values });
      await context.audit.write({
        who: name,
        role,
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
    context.log.debug({ err: error }, 'sign-in with OpenID Connect failed');
    context.refused.count('sign-in failed');
    context.refused.note({
      who: '',
      role: '',
      action: 'sign-in',
      subject: '',
      outcome: 'failed',
      detail: `by OpenID Connect: ${reasonOf(error)}`,
      address: request.ip,
    });
    const message =
      error instanceof ConsoleError
        ? error.message
        : 'the identity provider could not be used; see the log of the console';
    void reply.code(401);
    return sendSignInPage(context, request, reply, { to: '/', message: `You are not signed in: ${message}.` });
  }

  function discover(oidc: Oidc): Promise<client.Configuration> {
    const of = fingerprint([oidc.issuer, oidc.clientId, oidc.clientSecret]);
    if (discovered?.of === of) return discovered.config;
    const issuer = new URL(oidc.issuer);
    // Unencrypted connections are allowed for a provider on this machine only.
    const execute = issuer.protocol === 'http:' && isLoopback(issuer.hostname) ? [client.allowInsecureRequests] : [];
    // ID tokens are received over TLS from the provider itself; their signatures are verified nevertheless.
    const config = client.discovery(issuer, oidc.clientId, oidc.clientSecret?.reveal(), undefined, {
      execute: [...execute, client.enableNonRepudiationChecks],
      timeout: timeoutSeconds,
    });
    const found = { of, config };
    discovered = found;
    config.catch((error: unknown) => {
      context.log.warn({ err: error, issuer: oidc.issuer }, 'the identity provider cannot be used');
      setTimeout(() => {
        if (discovered === found) discovered = undefined;
      }, restMs).unref();
    });
    return config;
  }

  function callbackUrl(request: FastifyRequest): string {
    const base = context.config().console.publicUrl ?? `${request.protocol}://${request.headers.host ?? ''}`;
    return new URL('/sign-in/oidc/callback', base).href;
  }
}

/** Names in the audit log that do not belong to users: tokens, and the system itself. */
const othersNames = /^(local|unknown|orthanc plugin|(token|oidc):.*)$/is;

/**
 * Name and role of the user: the highest role that a value of the claim gives. Users may be able to choose their name at the
 * provider: a name of a user of the configuration, or one that is reserved, gets the prefix `oidc:`.
 *
 * @param users - names of the users of the configuration
 * @throws ConsoleError `sign-in-failed` for a user without a role
 */
export function identify(
  oidc: Oidc,
  claims: Readonly<Record<string, unknown>>,
  users: readonly string[] = [],
): {
  readonly name: string;
  readonly role: NonNullable<ReturnType<typeof roleOf>>;
  readonly values: readonly string[];
} {
  const subject = typeof claims['sub'] === 'string' ? claims['sub'] : '';
  const named = claims[oidc.userClaim];
  const given = printable((typeof named === 'string' && named !== '' ? named : subject).normalize('NFKC')).trim();
  const isTaken = othersNames.test(given) || users.includes(given.toLowerCase());
  const name = `${isTaken ? 'oidc:' : ''}${given}`.slice(0, 100);
  const values = knownValues(oidc, claims[oidc.roleClaim]);
  const role = roleOf(oidc, values);
  if (!role) throw new ConsoleError('sign-in-failed', `${name} has no role in this console: ask an administrator`);
  return { name, role, values };
}

/** The error, without text of the provider or the browser. */
function reasonOf(error: unknown): string {
  if (error instanceof ConsoleError) return error.code;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[\w-]{1,60}$/.test(code) ? code : 'unknown';
}
