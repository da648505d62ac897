import type { Dispatcher } from 'undici';
import type { HttpAuth, OAuth2Auth } from './http-options.ts';
import type { AccessToken } from './oauth2-token.ts';

/** Provides the Authorization header of each request. */
export interface Authorizer {
  header(signal: AbortSignal): Promise<string | undefined>;
  /** Called if the target rejected a header; true if there is a new one to try. */
  renew(refused: string, signal: AbortSignal): Promise<boolean>;
}

export function authorizerOf(auth: HttpAuth, dispatcher: Dispatcher): Authorizer {
  switch (auth.type) {
    case 'none':
      return fixed(undefined);
    case 'basic':
      return fixed(`Basic ${Buffer.from(`${auth.username}:${auth.password.reveal()}`).toString('base64')}`);
    case 'bearer':
      return fixed(`Bearer ${auth.token.reveal()}`);
    case 'oauth2':
      return new OAuth2Authorizer(auth, dispatcher);
  }
}

function fixed(header: string | undefined): Authorizer {
  return { header: async () => header, renew: async () => false };
}

/** A token is renewed this long before it expires, but not before half its lifetime is over. */
const earlyMs = 30_000;

/** Uses one token for all requests of a run and requests the next one when it expires or is rejected. */
class OAuth2Authorizer implements Authorizer {
  readonly #auth: OAuth2Auth;
  readonly #dispatcher: Dispatcher;
  #token: { readonly header: string; readonly renewAtMs: number } | undefined;
  #asking: Promise<string> | undefined;

  constructor(auth: OAuth2Auth, dispatcher: Dispatcher) {
    this.#auth = auth;
    this.#dispatcher = dispatcher;
  }

  async header(signal: AbortSignal): Promise<string> {
    if (this.#token && Date.now() < this.#token.renewAtMs) return this.#token.header;
    // Requests that start at the same time share one token request.
    this.#asking ??= this.#ask(signal).finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async renew(refused: string, signal: AbortSignal): Promise<boolean> {
    // Another request may have renewed it already.
    if (this.#token?.header === refused) this.#token = undefined;
    return (await this.header(signal)) !== refused;
  }

  async #ask(signal: AbortSignal): Promise<string> {
    // Loaded only when a token is requested: it needs a library and undici's fetch.
    const { fetchToken } = await import('./oauth2-token.ts');
    const token: AccessToken = await fetchToken(this.#auth, this.#dispatcher, signal);
    const lifeMs = token.expiresAtMs - Date.now();
    const header = `Bearer ${token.value}`;
    this.#token = { header, renewAtMs: token.expiresAtMs - Math.min(earlyMs, lifeMs / 2) };
    return header;
  }
}
