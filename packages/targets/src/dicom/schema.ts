import { aeTitle, durationMs, hostName, portNumber, secret, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';

const filePath = z.string().min(1).max(4096);

export const dicomTls = z.strictObject({
  ca: filePath.optional().describe('PEM file with the authorities to trust; default those of the system'),
  cert: filePath.optional().describe('PEM file with our certificate and its chain, for mutual TLS'),
  key: filePath.optional().describe('PEM file with the private key of cert'),
  passphrase: secret.optional().describe('of the key'),
  serverName: z.string().max(253).optional().describe('name to expect in the certificate; default the host'),
  profile: z
    .enum(['bcp195-rfc9325', 'bcp195-rfc9325-modified', 'bcp195-nd', 'bcp195', 'bcp195-extended'])
    .default('bcp195-rfc9325')
    .describe('secure connection profile of PS3.15 annex B'),
  minVersion: z.enum(['TLSv1.2', 'TLSv1.3']).optional().describe('least version, instead of that of the profile'),
  verifyHostname: z.boolean().default(true).describe('false checks the chain, but not the name in the certificate'),
  verify: z.boolean().default(true).describe('false accepts any certificate: for trying, never for patients'),
});

const dicomOptions = {
  ...targetOptions,
  host: hostName.describe('name or address of the receiver'),
  port: portNumber.default(104).describe('its port'),
  calledAeTitle: aeTitle.describe("the receiver's AE title"),
  callingAeTitle: aeTitle.default('DISPATCH').describe('our AE title'),
  associations: z
    .int()
    .min(1)
    .max(16)
    .default(3)
    .describe('associations at the same time for one delivery; more for links with a long round trip'),
  maxPduLength: sizeBytes.default(131_072).describe('longest P-DATA-TF that we accept'),
  connectTimeout: durationMs.default(10_000).describe('longest time to connect, TLS included'),
  associationTimeout: durationMs.default(30_000).describe('longest wait for the answer to an association request'),
  responseTimeout: durationMs.default(60_000).describe('longest silence while a response is due'),
  earlyByte: z
    .boolean()
    .default(true)
    .describe(
      'answers half responses at once with the first byte of the next instance: saves 44 ms an instance at receivers without TCP_NODELAY',
    ),
} as const;

/** A receiver of DICOM C-STORE: a PACS, an archive, a workstation. */
export const dicomTarget = z.strictObject({
  type: z.literal('dicom'),
  ...dicomOptions,
  tls: dicomTls.optional().describe('set to speak DICOM TLS (PS3.15 annex B)'),
});
export type DicomTarget = z.output<typeof dicomTarget>;

/** An alias that insists on TLS. */
export const dicomTlsTarget = z.strictObject({
  type: z.literal('dicom-tls'),
  ...dicomOptions,
  tls: dicomTls.prefault({}).describe('DICOM TLS (PS3.15 annex B)'),
});
export type DicomTlsTarget = z.output<typeof dicomTlsTarget>;
export type AnyDicomTarget = DicomTarget | DicomTlsTarget;
