import { z } from 'zod';
import { durationMs } from './duration.ts';
import { secret } from './secret.ts';
import { sizeBytes } from './size.ts';

/** TLS as a client: files in PEM form. */
export const tlsClient = z.strictObject({
  ca: z.string().optional().describe('file of the authorities to trust; default those of the system'),
  cert: z.string().optional().describe('file of our certificate, where the other side asks for one'),
  key: z.string().optional().describe('file of its private key'),
  passphrase: secret.optional().describe('of the private key'),
  serverName: z.string().optional().describe('name expected in the certificate; default the host'),
});

export const httpUrl = z.url({ protocol: /^https?$/, error: 'a URL with http:// or https://' });

export const sourceConfig = z.strictObject({
  url: httpUrl.describe("address of Orthanc's REST API"),
  username: z.string().optional().describe('user of the REST API'),
  password: secret.optional().describe('its password'),
  tls: tlsClient.optional().describe('for https with a private authority or a client certificate'),
  timeout: durationMs.default(30_000).describe('longest silence on a request'),
  minBytesPerSecond: sizeBytes
    .default(1_000)
    .describe('minimum transfer rate, averaged over timeout while the source sends or receives; 0 = no limit'),
  pollInterval: durationMs.default(1_000).describe('pause between two looks at the change feed'),
  sweep: z
    .strictObject({
      every: durationMs.default(3_600_000).describe('pause between two sweeps; 0 = only at start'),
      settle: durationMs
        .default(300_000)
        .describe('a study that has not changed for this long counts as stable, whatever Orthanc says'),
      pause: durationMs.default(50).describe('pause between two pages of 100 studies, to spare the source'),
    })
    .prefault({})
    .describe('compares the studies in the source with what was routed: the feed alone loses studies'),
  digest: z
    .enum(['always', 'sample', 'never'])
    .default('sample')
    .describe(
      'compare the MD5 of what is read with the one that Orthanc keeps: always; sample = of instances up to 2 MB as many as take 1 % of the time, and each that failed before; never. Size and UIDs are always compared',
    ),
  storageFolder: z
    .union([z.literal(false), z.string().min(1)])
    .optional()
    .describe(
      'storage folder of Orthanc (StorageDirectory), as the dispatcher sees it: instances are read from it, and by REST where it lacks them. Default: the usual folders, where Orthanc is on this machine; false = by REST only',
    ),
  pushSecret: secret.optional().describe('shared with the plugin inside Orthanc; without it no push is taken'),
  startFrom: z
    .union([z.literal('now'), z.literal('everything'), z.iso.date()], {
      error: 'now, everything, or a date YYYY-MM-DD',
    })
    .default('now')
    .describe('studies to route when the source is seen for the first time: now, everything, or since a date'),
});
export type SourceConfig = z.output<typeof sourceConfig>;
