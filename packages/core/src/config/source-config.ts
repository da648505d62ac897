import { z } from 'zod';
import { durationMs } from './duration.ts';
import { secret } from './secret.ts';
import { sizeBytes } from './size.ts';

/** TLS as a client: files in PEM form. */
export const tlsClient = z.strictObject({
  ca: z.string().optional().describe('file with the certificate authorities to trust; default: those of the system'),
  cert: z.string().optional().describe('file with our certificate, if the server requires one'),
  key: z.string().optional().describe('file with its private key'),
  passphrase: secret.optional().describe('passphrase of the private key'),
  serverName: z.string().optional().describe('expected name in the certificate; default: the host'),
});

export const httpUrl = z
  .url({ protocol: /^https?$/, error: 'a URL with http:// or https://' })
  .refine((text) => !/[?#]/.test(text), 'a URL without query (?) and fragment (#)');

export const sourceConfig = z.strictObject({
  url: httpUrl.describe("URL of Orthanc's REST API"),
  enabled: z
    .boolean()
    .default(true)
    .describe(
      'false: the source is not followed, and continues at its position when it is enabled; deliveries that wait are still sent, and studies can be routed manually',
    ),
  username: z.string().optional().describe('user name'),
  password: secret.optional().describe('password'),
  tls: tlsClient.optional().describe('for https with a private certificate authority or a client certificate'),
  timeout: durationMs
    .default(30_000)
    .describe(
      'maximum time without progress on a request; for a file, Orthanc may take one second more for each 5 MB before the first byte',
    ),
  minBytesPerSecond: sizeBytes
    .default(1_000)
    .describe('minimum transfer rate in either direction, averaged over timeout; 0 = no limit'),
  pollInterval: durationMs
    .refine((ms) => ms >= 10, 'at least 10ms')
    .default(1_000)
    .describe('interval between two requests to the change feed'),
  sweep: z
    .strictObject({
      every: durationMs.default(3_600_000).describe('interval between two sweeps; 0 = only at start'),
      settle: durationMs
        .default(300_000)
        .describe(
          'a study that has not changed for this period is treated as stable, even if Orthanc has not reported it',
        ),
      pause: durationMs.default(50).describe('pause between two pages of 100 studies, to limit the load on the source'),
    })
    .prefault({})
    .describe('compares the studies in the source with the routed ones, since the change feed alone can lose studies'),
  digest: z
    .enum(['always', 'sample', 'never'])
    .default('sample')
    .describe(
      'compare the MD5 of the bytes read with the MD5 stored by Orthanc: always; sample = of instances up to 2 MB as many as take 1 % of the time, and each that failed before; never. Size and UIDs are always compared',
    ),
  storageFolder: z
    .union([z.literal(false), z.string().min(1)])
    .optional()
    .describe(
      'storage folder of Orthanc (StorageDirectory) as mounted on the dispatcher: instances are read from it, and over REST if they are missing there. Default: the usual folders if Orthanc runs on this machine; false = REST only',
    ),
  pushSecret: secret.optional().describe('secret shared with the plugin inside Orthanc; without it pushes are refused'),
  startFrom: z
    .union([z.literal('now'), z.literal('everything'), z.iso.date()], {
      error: 'now, everything, or a date YYYY-MM-DD',
    })
    .default('now')
    .describe('studies to route at the first start with this source: now = new ones, everything, or since a date'),
});
export type SourceConfig = z.output<typeof sourceConfig>;
