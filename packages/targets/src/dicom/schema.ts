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
import { maxAssociations } from './associations-for.ts';
import { transferSyntax } from './transfer-syntax.ts';

const filePath = z.string().min(1).max(4096);
const profile = z.enum(['bcp195-rfc9325', 'bcp195-rfc9325-modified', 'bcp195-nd', 'bcp195', 'bcp195-extended']);

export const dicomTls = z.strictObject({
  ca: filePath.optional().describe('PEM file with the authorities to trust; default those of the system'),
  cert: filePath.optional().describe('PEM file with our certificate and its chain, for mutual TLS'),
  key: filePath.optional().describe('PEM file with the private key of cert'),
  passphrase: secret.optional().describe('of the key'),
  serverName: z.string().max(253).optional().describe('name to expect in the certificate; default the host'),
  profile: profile.default('bcp195-rfc9325').describe('secure connection profile of PS3.15 annex B'),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).optional().describe('least version, instead of that of the profile'),
  verifyHostname: z.boolean().default(true).describe('false checks the chain, but not the name in the certificate'),
  verify: z.boolean().default(true).describe('false accepts any certificate: for trying, never for patients'),
});

/** Where we take associations of the receiver: for the reports of a storage commitment, for the instances of a C-MOVE. */
const listenOptions = {
  listen: listenAddress.describe('address on which we take associations of the receiver, e.g. 0.0.0.0:11112'),
  tls: z
    .strictObject({
      cert: filePath.describe('PEM file with our certificate and its chain'),
      key: filePath.describe('PEM file with the private key of cert'),
      passphrase: secret.optional().describe('of the key'),
      ca: filePath.optional().describe('PEM file with authorities: set to demand a certificate of the receiver'),
      profile: profile.default('bcp195-rfc9325').describe('secure connection profile of PS3.15 annex B'),
    })
    .optional()
    .describe('set to take DICOM TLS only'),
} as const;
const listener = z.strictObject(listenOptions);
export type DicomListener = z.output<typeof listener>;

const dicomOptions = {
  ...targetOptions,
  host: hostName.describe('name or address of the receiver'),
  port: portNumber.default(104).describe('its port'),
  calledAeTitle: aeTitle.describe("the receiver's AE title"),
  callingAeTitle: aeTitle.default('DISPATCH').describe('our AE title'),
  maxParallel: z
    .union([z.int().min(1).max(maxAssociations), z.literal('auto')])
    .default(3)
    .describe('associations at the same time for one delivery; auto: 3 to 16, more the longer the round trip is'),
  maxPduLength: sizeBytes.default(131_072).describe('longest P-DATA-TF that we accept'),
  connectTimeout: durationMs.default(10_000).describe('longest time to connect, TLS included'),
  associationTimeout: durationMs.default(30_000).describe('longest wait for the answer to an association request'),
  timeout: durationMs.default(60_000).describe('longest silence while a response is due'),
  minBytesPerSecond: sizeBytes
    .default(1_000)
    .describe('a receiver that takes or sends data more slowly is treated as silent; 0: any byte counts'),
  earlyByte: z
    .boolean()
    .default(true)
    .describe(
      'answers half responses at once with the first byte of the next instance: saves 44 ms an instance at receivers without TCP_NODELAY',
    ),
  transferSyntaxes: z
    .array(transferSyntax)
    .min(1)
    .max(30)
    .optional()
    .describe('transfer syntaxes that the receiver may get, best first, as keywords or UIDs; default: any as stored'),
  transcode: z
    .enum(['never', 'fallback', 'always'])
    .default('never')
    .describe(
      'fallback: what the receiver does not accept as stored is transcoded by the source, into the first of transferSyntaxes that it accepts; always: everything is',
    ),
  verify: z
    .enum(['none', 'find', 'commitment'])
    .default('none')
    .describe('none: the response to each C-STORE counts; find: C-FIND at IMAGE level; commitment: storage commitment'),
  verifyTimeout: durationMs
    .default(5_000)
    .describe('longest wait of verify: find until the receiver lists what it has just confirmed'),
  commitment: z
    .strictObject({
      timeout: durationMs
        .default(120_000)
        .describe('how long an attempt waits for the report; the next attempt goes on waiting'),
      listener: listener
        .optional()
        .describe('for receivers that report on an association of their own; default: the association that asked'),
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
    .describe('where C-FIND, C-GET and C-MOVE are answered, if not where images are stored'),
  retrieve: z
    .enum(['get', 'move'])
    .default('get')
    .describe('how studies are pulled: C-GET, or C-MOVE to our own receiver (moveTo)'),
  moveTo: z
    .strictObject({
      aeTitle: aeTitle.describe('our AE title as a C-MOVE destination; the receiver has to know it with our address'),
      ...listenOptions,
    })
    .optional()
    .describe('our receiver for retrieve: move; it listens while a pull runs'),
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
    tls: dicomTls.optional().describe('set to speak DICOM TLS (PS3.15 annex B)'),
  })
  .refine(hasMoveTo, needsMoveTo);
export type DicomTarget = z.output<typeof dicomTarget>;

/** An alias that insists on TLS. */
export const dicomTlsTarget = z
  .strictObject({
    type: z.literal('dicom-tls'),
    ...dicomOptions,
    tls: dicomTls.prefault({}).describe('DICOM TLS (PS3.15 annex B)'),
  })
  .refine(hasMoveTo, needsMoveTo);
export type DicomTlsTarget = z.output<typeof dicomTlsTarget>;
export type AnyDicomTarget = DicomTarget | DicomTlsTarget;
