import {
  aeTitle,
  durationMs,
  hostName,
  listenAddress,
  portNumber,
  secret,
  sizeBytes,
  targetOptions,
} from '@dicom-dispatch/core';
import { z } from 'zod';
import { uidConflictOption } from '../conflict/schema.ts';
import { maxAssociations } from './associations-for.ts';
import { transferSyntax } from './transfer-syntax.ts';

const filePath = z.string().min(1).max(4096);
const profile = z.enum(['bcp195-rfc9325', 'bcp195-rfc9325-modified', 'bcp195-nd', 'bcp195', 'bcp195-extended']);

export const dicomTls = z.strictObject({
  ca: filePath.optional().describe('PEM file with the certificate authorities to trust; default: those of the system'),
  cert: filePath.optional().describe('PEM file with our certificate and its chain, for mutual TLS'),
  key: filePath.optional().describe('PEM file with the private key of cert'),
  passphrase: secret.optional().describe('passphrase of the key'),
  serverName: z.string().max(253).optional().describe('expected name in the certificate; default: the host'),
  profile: profile.default('bcp195-rfc9325').describe('secure connection profile of PS3.15 annex B'),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).optional().describe('minimum TLS version, instead of that of the profile'),
  verifyHostname: z
    .boolean()
    .default(true)
    .describe('false verifies the chain, but not the host name in the certificate'),
  verify: z.boolean().default(true).describe('false accepts any certificate: for tests only, never with patient data'),
});

/** Where we accept associations of the receiver: for storage commitment reports, and for instances of a C-MOVE. */
const listenOptions = {
  listen: listenAddress.describe('HOST:PORT on which associations of the receiver are accepted, e.g. 0.0.0.0:11112'),
  tls: z
    .strictObject({
      cert: filePath.describe('PEM file with our certificate and its chain'),
      key: filePath.describe('PEM file with the private key of cert'),
      passphrase: secret.optional().describe('passphrase of the key'),
      ca: filePath
        .optional()
        .describe('PEM file with certificate authorities; set it to require a certificate from the receiver'),
      profile: profile.default('bcp195-rfc9325').describe('secure connection profile of PS3.15 annex B'),
    })
    .optional()
    .describe('set to accept DICOM TLS only'),
} as const;
const listener = z.strictObject(listenOptions);
export type DicomListener = z.output<typeof listener>;

const dicomOptions = {
  ...targetOptions,
  host: hostName.describe('host name or IP address of the receiver'),
  port: portNumber.default(104).describe('port'),
  calledAeTitle: aeTitle.describe("the receiver's AE title"),
  callingAeTitle: aeTitle.default('DISPATCH').describe('our AE title'),
  maxParallel: z
    .union([z.int().min(1).max(maxAssociations), z.literal('auto')])
    .default(3)
    .describe(
      'maximum parallel associations of one delivery; auto: 3 to 16, depending on the measured round-trip time',
    ),
  maxPduLength: sizeBytes.default(131_072).describe('maximum length of P-DATA-TF PDUs that we accept'),
  connectTimeout: durationMs.default(10_000).describe('maximum time to connect, including TLS'),
  associationTimeout: durationMs.default(30_000).describe('maximum wait for the response to an association request'),
  timeout: durationMs.default(60_000).describe('maximum time without progress while a response is due'),
  minBytesPerSecond: sizeBytes
    .default(1_000)
    .describe('minimum transfer rate in either direction; a slower receiver is treated as timed out; 0 = no limit'),
  earlyByte: z
    .boolean()
    .default(true)
    .describe(
      'send the first byte of the next instance as soon as half of a response has arrived: saves 44 ms an instance with receivers that do not set TCP_NODELAY',
    ),
  transferSyntaxes: z
    .array(transferSyntax)
    .min(1)
    .max(30)
    .optional()
    .describe(
      'transfer syntaxes that may be sent to the receiver, in order of preference, as keywords or UIDs; default: as stored',
    ),
  transcode: z
    .enum(['never', 'fallback', 'always'])
    .default('never')
    .describe(
      'transcoding by the source. fallback: instances whose stored transfer syntax the receiver rejects, into the first accepted syntax of transferSyntaxes; always: all instances',
    ),
  onConflict: uidConflictOption,
  verify: z
    .enum(['none', 'find', 'commitment'])
    .default('none')
    .describe(
      'verification. none: the response to each C-STORE counts; find: C-FIND at IMAGE level; commitment: storage commitment',
    ),
  verifyTimeout: durationMs
    .default(5_000)
    .describe('maximum wait of verify: find for the receiver to list confirmed instances'),
  commitment: z
    .strictObject({
      timeout: durationMs
        .default(120_000)
        .describe('maximum wait of an attempt for the report; the next attempt continues to wait'),
      listener: listener
        .optional()
        .describe(
          'for receivers that report on a separate association; default: the report is expected on the requesting association',
        ),
    })
    .prefault({})
    .describe('options of verify: commitment'),
  query: z
    .strictObject({
      host: hostName.optional().describe('default: host'),
      port: portNumber.optional().describe('default: port'),
      calledAeTitle: aeTitle.optional().describe('default: calledAeTitle'),
    })
    .prefault({})
    .describe('address for C-FIND, C-GET and C-MOVE, if it differs from that for C-STORE'),
  retrieve: z
    .enum(['get', 'move'])
    .default('get')
    .describe('retrieval of studies: C-GET, or C-MOVE to our own receiver (moveTo)'),
  moveTo: z
    .strictObject({
      aeTitle: aeTitle.describe(
        'our AE title as C-MOVE destination; must be configured at the receiver with our address',
      ),
      ...listenOptions,
    })
    .optional()
    .describe('our Storage SCP for retrieve: move; it listens while a pull is running'),
} as const;

const needsMoveTo = {
  error: 'retrieve: move needs moveTo, the receiver that we open for the instances',
  path: ['moveTo'],
};
const hasMoveTo = (target: { retrieve: string; moveTo?: unknown }): boolean =>
  target.retrieve !== 'move' || target.moveTo !== undefined;

/** A receiver of DICOM C-STORE: a PACS, an archive, a workstation. */
export const dicomTarget = z
  .strictObject({
    type: z.literal('dicom'),
    ...dicomOptions,
    tls: dicomTls.optional().describe('set to use DICOM TLS (PS3.15 annex B)'),
  })
  .refine(hasMoveTo, needsMoveTo);
export type DicomTarget = z.output<typeof dicomTarget>;

/** A `dicom` target that always uses TLS. */
export const dicomTlsTarget = z
  .strictObject({
    type: z.literal('dicom-tls'),
    ...dicomOptions,
    tls: dicomTls.prefault({}).describe('DICOM TLS (PS3.15 annex B)'),
  })
  .refine(hasMoveTo, needsMoveTo);
export type DicomTlsTarget = z.output<typeof dicomTlsTarget>;
export type AnyDicomTarget = DicomTarget | DicomTlsTarget;
