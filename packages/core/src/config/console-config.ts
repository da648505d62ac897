import { z } from 'zod';
import { auditConfig } from './audit-config.ts';
import { durationMs } from './duration.ts';
import { listenAddress } from './listen-address.ts';
import { configName } from './names.ts';
import { network } from './network.ts';
import { notificationsConfig } from './notifications-config.ts';
import { secretKeys, secret } from './secret.ts';
import { httpUrl } from './source-config.ts';

/** What someone may do in the console, least first; each may do all that those before may. */
export const roles = ['viewer', 'operator', 'editor', 'administrator'] as const;
export type Role = (typeof roles)[number];

const role = z
  .enum(roles)
  .describe(
    'viewer: read only; operator: also retry, hold, cancel, route; editor: also change targets, groups and rules; administrator: also change the rest of the configuration and read the audit log',
  );

const oidcConfig = z.strictObject({
  issuer: httpUrl.describe('URL of the identity provider, from which its discovery document is read'),
  clientId: z.string().min(1).describe('client id'),
  clientSecret: secret.optional().describe('client secret; none for a public client'),
  scopes: z.string().default('openid profile email').describe('requested scopes'),
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
    .describe('values of the claim for each role; a user without any is refused'),
  label: z.string().max(60).default('Single sign-on').describe('label of the sign-in button'),
});

export const consoleConfig = z.strictObject({
  listen: listenAddress
    .default('127.0.0.1:8080')
    .describe('HOST:PORT on which the console listens; other than loopback requires users, tokens or oidc'),
  publicUrl: httpUrl.optional().describe('URL at which browsers reach the console, if it differs (behind a proxy)'),
  allowFrom: z
    .array(network)
    .default([])
    .describe('networks that may access the console, e.g. [10.20.0.0/16]; empty = all'),
  trustProxy: z
    .union([z.boolean(), z.int().min(1).max(10), z.array(network).min(1)], {
      error: 'false, the number of proxies in front (1 to 10), or a list of their networks, e.g. [10.0.0.5]',
    })
    .default(false)
    .describe(
      'trusted reverse proxies, whose X-Forwarded-For is used: their number (true = 1), or their networks; addresses that a client added itself are never used',
    ),
  secret: secretKeys
    .optional()
    .describe(
      'key that signs cookies, or a list of keys, newest first; default: derived from the other secrets of this section',
    ),
  users: z
    .record(
      configName,
      z.strictObject({
        password: secret.describe(
          'password of at least 15 characters, or preferably its hash from `dispatch config password`',
        ),
        role: role.default('viewer'),
        enabled: z.boolean().default(true).describe('false: may not sign in, and open sessions end'),
      }),
    )
    .optional()
    .describe('users who may sign in; without users, tokens and oidc the console is served on loopback only'),
  tokens: z
    .record(
      configName,
      z.strictObject({
        token: secret.describe('bearer token of at least 20 characters, sent as `Authorization: Bearer …`'),
        role: role.default('viewer'),
        enabled: z.boolean().default(true).describe('false: the token is rejected'),
        targets: z
          .array(configName)
          .min(1)
          .optional()
          .describe('targets whose deliveries the token may read and, as operator, act on; default: all'),
      }),
    )
    .optional()
    .describe('API tokens of programs, by the name that appears in the audit log'),
  oidc: oidcConfig.optional().describe('sign-in with an OpenID Connect provider'),
  session: z
    .strictObject({
      idle: durationMs.default(60 * 60_000).describe('a session ends after this period without a request'),
      lifetime: durationMs.default(12 * 3_600_000).describe('maximum lifetime of a session'),
    })
    .prefault({})
    .describe('duration of sign-in sessions'),
  editing: z
    .boolean()
    .default(true)
    .describe(
      'allow changes of the configuration in the console; false: read-only, and changes can be copied as a patch, for files that are managed elsewhere, e.g. in Git',
    ),
  openMetrics: z
    .boolean()
    .default(false)
    .describe('serve /metrics without authentication even if sign-in is configured'),
  patientData: z
    .boolean()
    .default(true)
    .describe('show patient name, accession number and description, read live from the source, to signed-in users'),
  thumbnails: z.boolean().default(true).describe('show a thumbnail of a study, read live from the source'),
  audit: auditConfig.prefault({}).describe('audit log'),
  notifications: notificationsConfig.optional().describe('notifications'),
});
export type ConsoleConfig = z.output<typeof consoleConfig>;

/** Whether a sign-in is required. */
export function needsSignIn(config: Pick<ConsoleConfig, 'users' | 'tokens' | 'oidc'>): boolean {
  return (
    Object.keys(config.users ?? {}).length > 0 ||
    Object.keys(config.tokens ?? {}).length > 0 ||
    config.oidc !== undefined
  );
}
