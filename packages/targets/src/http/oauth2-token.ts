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
import { networkError } from '@dicom-dispatch/target-kit/checks';
import { retryAfterMs } from './retry-after.ts';
import { statusError } from './status-error.ts';

export interface AccessToken {
  readonly value: string;
  /** Milliseconds since 1970, by the clock of this machine. An hour from now if the server does not report it. */
  readonly expiresAtMs: number;
}

const maxTokenBytes = 1_000_000;
/** Maximum duration of a token request. */
const maxTokenMs = 60_000;

/**
 * Requests an access token with client credentials (RFC 6749 section 4.4).
 *
 * @throws {DispatchError} `target-unauthorized` if the token server rejects the client; otherwise as for any HTTP peer
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
      signal: AbortSignal.any([signal, AbortSignal.timeout(maxTokenMs)]),
      // The configuration decides between http and https, as for the target itself.
      [allowInsecureRequests]: true,
      [customFetch]: async (url, init) =>
        bounded(await undiciFetch(url, { ...init, dispatcher } as Parameters<typeof undiciFetch>[1])),
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

/** The same response, read completely, with a limited length. @throws Error if it is longer */
async function bounded(response: Awaited<ReturnType<typeof undiciFetch>>): Promise<Response> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += part.byteLength;
    if (length > maxTokenBytes) throw new Error(`more than ${maxTokenBytes} bytes`);
    parts.push(part);
  }
  const { status } = response;
  const hasBody = status !== 204 && status !== 304;
  return new Response(hasBody ? Buffer.concat(parts) : null, { status, headers: [...response.headers] });
}

function tokenError(thrown: unknown, host: string): DispatchError {
  if (thrown instanceof DispatchError) return thrown;
  if (thrown instanceof ResponseBodyError) {
    return new DispatchError('target-unauthorized', `the token server ${host} rejects the client: ${thrown.error}`, {
      cause: thrown,
      remedy: 'Check clientId, clientSecret, scope and clientAuthentication.',
    });
  }
  // fetch throws a TypeError whose cause is the error of the connection.
  if (thrown instanceof TypeError && thrown.cause !== undefined) return networkError(thrown.cause, host);
  if (thrown instanceof Error && thrown.name === 'TimeoutError') {
    return new DispatchError('target-timeout', `the token server ${host} did not respond within ${maxTokenMs} ms`, {
      cause: thrown,
    });
  }
  return new DispatchError(
    'target-unauthorized',
    `the response of ${host} to the token request is not a valid OAuth 2 response`,
    {
      cause: thrown,
      remedy: 'Check tokenUrl.',
    },
  );
}
