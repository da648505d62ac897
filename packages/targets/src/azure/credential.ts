import { AnonymousCredential, StorageSharedKeyCredential } from '@azure/storage-blob';
import { Agent } from 'undici';
import { fetchToken, type AccessToken } from '../http/oauth2-token.ts';
import { tlsOptions } from '../http/tls-files.ts';
import type { AzureTarget } from './schema.ts';

/** Interface of the SDK for tokens (`TokenCredential` of @azure/core-auth). */
interface EntraCredential {
  getToken(
    scopes: string | string[],
    options?: { readonly abortSignal?: unknown },
  ): Promise<{ token: string; expiresOnTimestamp: number }>;
}

export interface Credential {
  readonly credential: StorageSharedKeyCredential | AnonymousCredential | EntraCredential;
  /** Query string of each URL with its question mark: the SAS; otherwise empty. */
  readonly query: string;
  close(): Promise<void>;
}

/** Maximum duration of a token request. */
const tokenMs = 60_000;

/** The credentials of a target; a token of Entra is requested with the first request. */
export async function credentialOf(config: AzureTarget): Promise<Credential> {
  const { account, accountKey, sasToken, entra } = config;
  const close = async (): Promise<void> => {};
  if (accountKey) return { credential: new StorageSharedKeyCredential(account, accountKey.reveal()), query: '', close };
  if (!entra) {
    return { credential: new AnonymousCredential(), query: `?${sasToken?.reveal().replace(/^\?/, '') ?? ''}`, close };
  }
  const agent = new Agent({ connect: { timeout: config.connectTimeout, ...(await tlsOptions(config.tls)) } });
  const tokenUrl = `${entra.authority}/${encodeURIComponent(entra.tenantId)}/oauth2/v2.0/token`;
  let known: AccessToken | undefined;
  const credential: EntraCredential = {
    async getToken(scopes) {
      const scope = [scopes].flat().join(' ');
      // The SDK requests a new token some time before the old one expires; a minute before its expiry it is requested here.
      if (!known || known.expiresAtMs - Date.now() < 60_000) {
        const { clientId, clientSecret } = entra;
        known = await fetchToken(
          { type: 'oauth2', tokenUrl, clientId, clientSecret, scope, parameters: {}, clientAuthentication: 'post' },
          agent,
          AbortSignal.timeout(tokenMs),
        );
      }
      return { token: known.value, expiresOnTimestamp: known.expiresAtMs };
    },
  };
  return { credential, query: '', close: () => agent.close() };
}
