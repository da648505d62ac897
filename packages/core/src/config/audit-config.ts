import { z } from 'zod';
import { durationMs } from './duration.ts';
import { hostName, portNumber } from './names.ts';
import { tlsClient } from './source-config.ts';

/** An audit record repository: IHE ATNA, messages of DICOM PS3.15 A.5 over syslog with TLS (PS3.15 A.6). */
const auditSyslog = z.strictObject({
  host: hostName.describe('the audit record repository: rsyslog, or one of its kind'),
  port: portNumber.default(6514).describe('its port'),
  tls: tlsClient.prefault({}).describe('authorities to trust, and our certificate where it asks for one'),
  sourceId: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'up to 64 printable ASCII characters without spaces')
    .default('dicom-dispatch')
    .describe('AuditSourceID: our name in the messages'),
  siteId: z.string().max(64).optional().describe('AuditEnterpriseSiteID: the site that we belong to'),
  deliveries: z.boolean().default(true).describe('messages on deliveries that have ended'),
  queries: z.boolean().default(true).describe('messages on searches in the console, with what was searched for'),
  patientData: z
    .boolean()
    .default(true)
    .describe('patient ID and name in messages on deliveries, asked of the source; PS3.15 wants them'),
});

/** How long it is kept who did what, and where it goes besides. */
export const auditConfig = z.strictObject({
  keep: durationMs.default(365 * 86_400_000).describe('age at which entries are removed; 0 = never'),
  maxEntries: z
    .int()
    .min(1000)
    .max(100_000_000)
    .default(1_000_000)
    .describe('most entries that Redis keeps, some 400 MB; older ones are removed first'),
  file: z.string().optional().describe('file that gets every entry as a line of JSON, and what was refused'),
  syslog: auditSyslog.optional().describe('audit messages of IHE ATNA over syslog with TLS'),
});
export type AuditSyslogConfig = z.output<typeof auditSyslog>;
