import { z } from 'zod';
import { durationMs } from './duration.ts';
import { configName, hostName, portNumber } from './names.ts';
import { secret, type Secret } from './secret.ts';

/**
 * Kinds of notifications. `failed`, `partial`, `delivered` and `source-gone` are ends of deliveries; `problem` and
 * `problem-over` are the other findings of severity critical, such as that no dispatcher is running.
 */
export const notificationKinds = [
  'delivered',
  'partial',
  'failed',
  'source-gone',
  'circuit-opened',
  'circuit-closed',
  'backlog-old',
  'backlog-cleared',
  'source-down',
  'source-up',
  'problem',
  'problem-over',
  'weekly-summary',
] as const;
export type NotificationKind = (typeof notificationKinds)[number];

const wanted = {
  enabled: z.boolean().default(true).describe('false: nothing is sent there'),
  on: z
    .array(z.enum(notificationKinds))
    .min(1)
    .default(notificationKinds.filter((kind) => kind !== 'delivered' && kind !== 'weekly-summary'))
    .describe('reported events'),
  targets: z.array(configName).min(1).optional().describe('only for these targets; default: all'),
  digest: durationMs
    .default(5 * 60_000)
    .describe(
      'digest window: events within this period of the first are combined into one message; 0 = each is sent immediately',
    ),
  patientData: z
    .boolean()
    .default(false)
    .describe('include accession number, Patient ID and description in the message'),
};

const addressWords = 'a URL with http:// or https://, or ${NAME} or { file: PATH } of one';

/** An address that Slack or Teams issue is a secret: its path or its query permits posting. */
const webhookAddress = z
  .union([z.string().refine(isWebhookAddress, addressWords), secret], { error: addressWords })
  .meta({ secret: true });

/** Whether a text can be the address of a webhook; unlike other addresses, with a query. */
export function isWebhookAddress(text: string): boolean {
  return /^https?:\/\//.test(text) && URL.canParse(text) && !text.includes('#');
}

const webhook = z.strictObject({
  url: webhookAddress.describe(
    'URL that receives a POST with JSON; that of Slack or Teams is a secret: use ${NAME} or { file: PATH }',
  ),
  format: z
    .enum(['json', 'slack', 'teams'])
    .default('json')
    .describe('body: json = all fields; slack = incoming webhook of Slack; teams = workflow of Microsoft Teams'),
  secret: secret.optional().describe('key of the HMAC-SHA256 signature in the header X-Dispatch-Signature'),
  headers: z
    .record(z.string().regex(/^[\w-]+$/), z.union([z.string(), secret]))
    .optional()
    .describe('additional headers'),
  timeout: durationMs.default(10_000).describe('maximum wait for the response'),
  ...wanted,
});

const email = z.strictObject({
  to: z.array(z.email()).min(1).describe('recipients'),
  subject: z
    .string()
    .max(200)
    .default('[dicom-dispatch] {summary}')
    .describe('subject; {summary} and {count} are replaced'),
  text: z
    .string()
    .max(20_000)
    .optional()
    .describe('text of the message; {summary}, {count}, {lines} and {console} are replaced'),
  ...wanted,
});

export const notificationsConfig = z.strictObject({
  webhooks: z.record(configName, webhook).default({}).describe('HTTP endpoints that receive notifications'),
  emails: z.record(configName, email).default({}).describe('recipients of e-mail notifications'),
  smtp: z
    .strictObject({
      host: hostName.describe('host name of the mail server'),
      port: portNumber.default(587).describe('port'),
      secure: z
        .boolean()
        .default(false)
        .describe(
          'true: implicit TLS (port 465); false: STARTTLS, which is required when a password or patient data is sent',
        ),
      allowPlaintext: z
        .boolean()
        .default(false)
        .describe('allow password and patient data to be sent unencrypted to a server without STARTTLS'),
      ca: z
        .string()
        .optional()
        .describe('PEM file with the certificate authorities to trust; default: those of the system'),
      username: z.string().optional().describe('user name at the mail server'),
      password: secret.optional().describe('password'),
      from: z.string().min(3).describe('sender of the e-mails'),
    })
    .optional()
    .describe('mail server'),
  backlogOlderThan: durationMs
    .default(60 * 60_000)
    .describe('backlog-old is reported for a target whose oldest waiting delivery exceeds this age; 0 = never'),
});
export type NotificationsConfig = z.output<typeof notificationsConfig>;
export type WebhookConfig = z.output<typeof webhook>;
export type EmailConfig = z.output<typeof email>;

/** The address of a webhook: a secret, pass it to the HTTP client only. */
export function webhookAddressOf({ url }: { readonly url: string | Secret }): string {
  return typeof url === 'string' ? url : url.reveal();
}
