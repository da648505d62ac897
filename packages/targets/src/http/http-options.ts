import { durationMs, secret, sizeBytes } from '@dicom-dispatch/core';
import { z } from 'zod';

const filePath = z.string().min(1).max(4096);

/** The URL of an HTTP service, stored without a trailing slash. */
export const httpUrl = z
  .string()
  .refine(
    (text) => isServiceUrl(text),
    'an address is http://… or https://…, without user, password, query or fragment',
  )
  .transform((text) => text.replace(/\/+$/, ''));

function isServiceUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && username + password + search + hash === '';
}

export const httpTls = z.strictObject({
  ca: filePath.optional().describe('PEM file with the certificate authorities to trust; default: those of the system'),
  cert: filePath.optional().describe('PEM file with the client certificate and its chain, for mutual TLS'),
  key: filePath.optional().describe('PEM file with the private key of cert'),
  passphrase: secret.optional().describe('passphrase of the key'),
  serverName: z.string().max(253).optional().describe('expected name in the certificate; default: the host of the URL'),
  verify: z.boolean().default(true).describe('false accepts any certificate: for tests only, never with patient data'),
});
export type HttpTls = z.output<typeof httpTls>;

const noAuth = z.strictObject({ type: z.literal('none') });
const basicAuth = z.strictObject({
  type: z.literal('basic'),
  username: z
    .string()
    .regex(/^[^:]{1,256}$/, 'a user name has no colon')
    .describe('user name'),
  password: secret.describe('password'),
});
const bearerAuth = z.strictObject({
  type: z.literal('bearer'),
  token: secret.describe('token that does not expire, or is renewed externally'),
});
const oauth2Auth = z.strictObject({
  type: z.literal('oauth2'),
  tokenUrl: z
    .string()
    .refine((text) => /^https?:$/.test(URL.canParse(text) ? new URL(text).protocol : ''), 'an http(s) address')
    .describe('token endpoint (RFC 6749 section 3.2)'),
  clientId: z.string().min(1).max(512).describe('client id'),
  clientSecret: secret.describe('client secret'),
  scope: z.string().max(2048).optional().describe('scopes, separated by spaces'),
  parameters: z
    .record(z.string().max(100), z.string().max(2048))
    .default({})
    .describe('additional parameters of the token request, such as audience or resource'),
  clientAuthentication: z
    .enum(['basic', 'post'])
    .default('basic')
    .describe('client authentication: basic = Authorization header, post = in the form; default: basic'),
});

/** Credentials `none`, `basic` or `bearer`, for services that do not support OAuth 2. */
export const simpleAuth = z
  .discriminatedUnion('type', [noAuth, basicAuth, bearerAuth])
  .default({ type: 'none' })
  .describe('credentials: none, basic or bearer; default: none');

/** All of `simpleAuth`, and OAuth 2 client credentials (RFC 6749 section 4.4). */
export const httpAuth = z
  .discriminatedUnion('type', [noAuth, basicAuth, bearerAuth, oauth2Auth])
  .default({ type: 'none' })
  .describe('credentials: none, basic, bearer or oauth2 (client credentials); default: none');
export type HttpAuth = z.output<typeof httpAuth>;
export type OAuth2Auth = z.output<typeof oauth2Auth>;

/** Options of every HTTP target, in addition to its `auth`. */
export const httpOptions = {
  headers: z
    .record(
      z.string().regex(/^[\w!#$%&'*+.^`|~-]{1,100}$/, 'not the name of an HTTP header'),
      z.union([secret, z.string().regex(/^[\t\x20-\x7e]{0,4096}$/, 'a header has printable ASCII characters')]),
    )
    .default({})
    .describe('headers sent with every request, such as an API key; default: none'),
  tls: httpTls.optional().describe('for https: certificate authorities, client certificate'),
  connectTimeout: durationMs.default(10_000).describe('maximum time to connect, including TLS; default: 10s'),
  timeout: durationMs
    .default(60_000)
    .describe(
      'maximum time without progress while sending or waiting for the response, which may take one second more for each 5 MB that were sent; default: 60s',
    ),
  minBytesPerSecond: sizeBytes
    .default(1_000)
    .describe('minimum transfer rate in either direction, averaged over timeout; 0 = no limit; default: 1kB'),
} as const;
export interface HttpOptions {
  readonly url: string;
  readonly auth: HttpAuth;
  readonly headers: Readonly<Record<string, string | { reveal(): string }>>;
  readonly tls?: HttpTls | undefined;
  readonly connectTimeout: number;
  readonly timeout: number;
  readonly minBytesPerSecond: number;
}
