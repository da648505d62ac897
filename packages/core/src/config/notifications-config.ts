import { z } from 'zod';
import { durationMs } from './duration.ts';
import { configName, hostName, portNumber } from './names.ts';
import { secret } from './secret.ts';
import { httpUrl } from './source-config.ts';

/** What can be told. `failed`, `partial`, `delivered` and `source-gone` are ends of deliveries. */
export const notificationKinds = [
  'delivered',
  'partial',
  'failed',
  'source-gone',
  'circuit-opened',
  'circuit-closed',
  'backlog-old',
] as const;
export type NotificationKind = (typeof notificationKinds)[number];

const wanted = {
  on: z
    .array(z.enum(notificationKinds))
    .min(1)
    .default(['partial', 'failed', 'source-gone', 'circuit-opened', 'circuit-closed', 'backlog-old'])
    .describe('what is told'),
  targets: z.array(configName).min(1).optional().describe('only of these targets; default all'),
  digest: durationMs
    .default(5 * 60_000)
    .describe('what happens within this time after the first is told together, in one message; 0 = each at once'),
  patientData: z.boolean().default(false).describe('put accession number, patient id and description into the message'),
};

const webhook = z.strictObject({
  url: httpUrl.describe('gets a POST with JSON'),
  secret: secret.optional().describe('key of the HMAC-SHA256 signature in the header X-Dispatch-Signature'),
  headers: z
    .record(z.string().regex(/^[\w-]+$/), z.union([z.string(), secret]))
    .optional()
    .describe('further headers'),
  timeout: durationMs.default(10_000).describe('longest wait for the answer'),
  ...wanted,
});

const email = z.strictObject({
  to: z.array(z.email()).min(1).describe('who gets it'),
  subject: z
    .string()
    .max(200)
    .default('[dicom-dispatch] {summary}')
    .describe('subject; {summary} and {count} are filled in'),
  text: z
    .string()
    .max(20_000)
    .optional()
    .describe('the whole message; {summary}, {count}, {lines} and {console} are filled in'),
  ...wanted,
});

export const notificationsConfig = z.strictObject({
  webhooks: z.record(configName, webhook).default({}).describe('HTTP endpoints that are told'),
  emails: z.record(configName, email).default({}).describe('people who are told by e-mail'),
  smtp: z
    .strictObject({
      host: hostName.describe('mail server'),
      port: portNumber.default(587).describe('its port'),
      secure: z
        .boolean()
        .default(false)
        .describe('TLS from the start (port 465); else STARTTLS, required where a password or patient data are sent'),
      allowPlaintext: z
        .boolean()
        .default(false)
        .describe('send password and patient data in the clear to a server without STARTTLS'),
      ca: z.string().optional().describe('file of the authorities to trust, PEM; default those of the system'),
      username: z.string().optional().describe('user at the mail server'),
      password: secret.optional().describe('its password'),
      from: z.string().min(3).describe('sender of the e-mails'),
    })
    .optional()
    .describe('mail server for the e-mails'),
  backlogOlderThan: durationMs
    .default(60 * 60_000)
    .describe('a target whose oldest delivery waits longer than this is told as backlog-old; 0 = never'),
});
export type NotificationsConfig = z.output<typeof notificationsConfig>;
export type WebhookConfig = z.output<typeof webhook>;
export type EmailConfig = z.output<typeof email>;
