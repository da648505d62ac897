import { z } from 'zod';
import { auditConfig } from './audit-config.ts';
import { durationMs } from './duration.ts';
import { listenAddress } from './listen-address.ts';
import { configName } from './names.ts';
import { network } from './network.ts';
import { notificationsConfig } from './notifications-config.ts';
import { secretKeys } from './secret-keys.ts';
import { secret } from './secret.ts';
import { httpUrl } from './source-config.ts';

/** What someone may do in the console, least first; each may do all that those before may. */
export const roles = ['viewer', 'operator', 'editor', 'administrator'] as const;
export type Role = (typeof roles)[number];

const role = z
  .enum(roles)
  .describe(
    'viewer looks; operator also retries, holds, cancels, routes; editor also changes targets, groups and rules; administrator also changes the rest of the configuration and reads the audit log',
  );

const oidcConfig = z.strictObject({
  issuer: httpUrl.describe('address of the identity provider; its discovery document is read from there'),
  clientId: z.string().min(1).describe('our client id there'),
  clientSecret: secret.optional().describe('our client secret; a public client has none'),
  scopes: z.string().default('openid profile email').describe('scopes to ask for'),
  userClaim: z.string().default('preferred_username').describe('claim that names the user in the audit log'),
  roleClaim: z.string().default('groups').describe('claim with the groups or roles of the user'),
  roles: z
    .strictObject({
      viewer: z.array(z.string()).default([]),
      operator: z.array(z.string()).default([]),
      editor: z.array(z.string()).default([]),
      administrator: z.array(z.string()).default([]),
    })
    .prefault({})
    .describe('which values of the claim give which role; without any the user is refused'),
  label: z.string().max(60).default('Single sign-on').describe('text of the button'),
});

export const consoleConfig = z.strictObject({
  listen: listenAddress
    .default('127.0.0.1:8080')
    .describe('address of the console; off loopback it needs users, tokens or oidc'),
  publicUrl: httpUrl
    .optional()
    .describe('address at which browsers reach the console, where that is another (a proxy in front)'),
  allowFrom: z
    .array(network)
    .default([])
    .describe('networks from which the console may be used, e.g. [10.20.0.0/16]; empty = from everywhere'),
  trustProxy: z
    .union([z.boolean(), z.int().min(1).max(10), z.array(network).min(1)], {
      error: 'false, the number of proxies in front (1 to 10), or a list of their networks, e.g. [10.0.0.5]',
    })
    .default(false)
    .describe(
      'proxies in front whose X-Forwarded-For is believed: how many there are (true = 1), or their networks; addresses that a client wrote there itself are never used',
    ),
  secret: secretKeys
    .optional()
    .describe(
      'key that signs cookies, or a list of keys, the newest first; default derived from the other secrets of this section',
    ),
  users: z
    .record(
      configName,
      z.strictObject({
        password: secret.describe(
          'password of at least 15 characters, or better its hash as `dispatch config password` prints it',
        ),
        role: role.default('viewer'),
      }),
    )
    .optional()
    .describe('who may sign in; without users, tokens and oidc only loopback is served'),
  tokens: z
    .record(
      configName,
      z.strictObject({
        token: secret.describe('at least 20 characters, sent as `Authorization: Bearer …`'),
        role: role.default('viewer'),
        targets: z
          .array(configName)
          .min(1)
          .optional()
          .describe('the only targets whose deliveries the token may read and, as operator, act on; default all'),
      }),
    )
    .optional()
    .describe('programs that use the API; their names stand in the audit log'),
  oidc: oidcConfig.optional().describe('sign-in with an OpenID Connect provider'),
  session: z
    .strictObject({
      idle: durationMs.default(60 * 60_000).describe('a session ends after so long without a request'),
      lifetime: durationMs.default(12 * 3_600_000).describe('a session ends after so long in any case'),
    })
    .prefault({})
    .describe('how long someone stays signed in'),
  editing: z
    .boolean()
    .default(true)
    .describe(
      'the configuration may be changed in the console; false: it is shown, and a change can be copied as a patch, for files that are kept elsewhere, e.g. in Git',
    ),
  openMetrics: z.boolean().default(false).describe('serve /metrics without a token even where sign-in is configured'),
  patientData: z
    .boolean()
    .default(true)
    .describe('show name, accession number and description, asked live of the source, to those who are signed in'),
  thumbnails: z.boolean().default(true).describe('show a small image of a study, asked live of the source'),
  audit: auditConfig.prefault({}).describe('the audit log: who did what'),
  notifications: notificationsConfig.optional().describe('who is told what'),
});
export type ConsoleConfig = z.output<typeof consoleConfig>;

/** Whether anyone has to sign in. */
export function needsSignIn(config: Pick<ConsoleConfig, 'users' | 'tokens' | 'oidc'>): boolean {
  return (
    Object.keys(config.users ?? {}).length > 0 ||
    Object.keys(config.tokens ?? {}).length > 0 ||
    config.oidc !== undefined
  );
}
