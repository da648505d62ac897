import { z } from 'zod';
import { durationMs } from './duration.ts';
import { hostName, portNumber } from './names.ts';
import { tlsClient } from './source-config.ts';

/** An audit record repository: IHE ATNA, messages of DICOM PS3.15 A.5 over syslog with TLS (PS3.15 A.6). */
const auditSyslog = z.strictObject({
  host: hostName.describe('host of the audit record repository, such as rsyslog'),
  port: portNumber.default(6514).describe('port'),
  tls: tlsClient
    .prefault({})
    .describe('certificate authorities to trust, and our certificate if the server requires one'),
  sourceId: z
    .string()
    .regex(/^[\x21-\x7e]{1,64}$/, 'up to 64 printable ASCII characters without spaces')
    .default('dicom-dispatch')
    .describe('AuditSourceID: name of this installation in the messages'),
  siteId: z.string().max(64).optional().describe('AuditEnterpriseSiteID: site of this installation'),
  deliveries: z.boolean().default(true).describe('send messages on completed deliveries'),
  queries: z.boolean().default(true).describe('send messages on searches in the console, including the search terms'),
  patientData: z
    .boolean()
    .default(true)
    .describe('include Patient ID and name in messages on deliveries, read from the source, as PS3.15 requires'),
});

/** Retention of the audit log, and further destinations. */
export const auditConfig = z.strictObject({
  keep: durationMs.default(365 * 86_400_000).describe('retention of entries; 0 = no limit'),
  maxEntries: z
    .int()
    .min(1000)
    .max(100_000_000)
    .default(1_000_000)
    .describe('maximum number of entries in Redis (the default takes some 400 MB); the oldest are removed first'),
  file: z
    .string()
    .optional()
    .describe('file to which every entry and every refused request is written, as a line of JSON'),
  syslog: auditSyslog.optional().describe('audit messages of IHE ATNA over syslog with TLS'),
});
export type AuditSyslogConfig = z.output<typeof auditSyslog>;
