import { DispatchError } from '@dicom-dispatch/core';
import {
  allowInsecureRequests,
  clientCredentialsGrantRequest,
  ClientSecretBasic,
  ClientSecretPost,
  customFetch,
  processClientCredentialsResponse,
  ResponseBodyError,
  type AuthorizationServer,
} from 'oauth4webapi';
import { fetch as undiciFetch, type Dispatcher } from 'undici';
import type { OAuth2Auth } from './http-options.ts';
import { networkError } from './network-error.ts';
import { retryAfterMs } from './retry-after.ts';
import { statusError } from './status-error.ts';

export interface AccessToken {
  readonly value: string;
  /** By our clock; when the server does not say, in an hour. */
  readonly expiresAtMs: number;
}

/**
 * Asks for an access token with the client's own credentials (RFC 6749 section 4.4).
 *
 * @throws {DispatchError} `target-unauthorized` when the token server refuses the client; else as for any HTTP peer
 */
export async function fetchToken(auth: OAuth2Auth, dispatcher: Dispatcher, signal: AbortSignal): Promise<AccessToken> {
  const server: AuthorizationServer = { issuer: new URL(auth.tokenUrl).origin, token_endpoint: auth.tokenUrl };
  const client = { client_id: auth.clientId };
  const secret = auth.clientSecret.reveal();
  const shown = auth.clientAuthentication === 'post' ? ClientSecretPost(secret) : ClientSecretBasic(secret);
  const parameters = { ...(auth.scope !== undefined && { scope: auth.scope }), ...auth.parameters };
  const host = new URL(auth.tokenUrl).host;
  try {
    const response = await clientCredentialsGrantRequest(server, client, shown, parameters, {
      signal,
      // The configuration decides between http and https, as for the target itself.
      [allowInsecureRequests]: true,
      [customFetch]: (url, init) =>
        undiciFetch(url, { ...init, dispatcher } as Parameters<typeof undiciFetch>[1]) as unknown as Promise<Response>,
    });
    if (response.status >= 500 || response.status === 429) {
      const asked = retryAfterMs(response.headers.get('retry-after') ?? undefined);
      throw statusError(response.status, { what: `the token request to ${host}`, retryAfterMs: asked });
    }
    const token = await processClientCredentialsResponse(server, client, response);
    return { value: token.access_token, expiresAtMs: Date.now() + (token.expires_in ?? 3600) * 1000 };
  } catch (thrown) {
    throw tokenError(thrown, host);
  }
}

function tokenError(thrown: unknown, host: string): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  if (thrown instanceof ResponseBodyError) {
    return new DispatchError('target-unauthorized', `the token server ${host} refuses the client: ${thrown.error}`, {
      cause: thrown,
      remedy: 'Check clientId, clientSecret, scope and clientAuthentication.',
    });
  }
  // fetch throws a TypeError whose cause is what happened to the connection.
  if (thrown instanceof TypeError && thrown.cause !== undefined) return networkError(thrown.cause, host);
  return new DispatchError('target-unauthorized', `the answer of ${host} to the token request is not one of OAuth 2`, {
    cause: thrown,
    remedy: 'Check tokenUrl.',
  });
}
