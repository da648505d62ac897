import { durationMs, minBytesPerSecondOption, secret, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { conflictOption } from '../conflict/schema.ts';
import { httpTls, httpUrl } from '../http/http-options.ts';
import { markerOption } from '../marker/index.ts';
import { instanceTemplate, uidTemplate, type RenderLimits } from '../template/index.ts';

const mebibyte = 1024 * 1024;
const guid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

const entra = z.strictObject({
  tenantId: z
    .string()
    .regex(/^[A-Za-z0-9.-]{3,253}$/, 'a tenant is a GUID or a domain')
    .describe('tenant (directory) id, or one of its domains'),
  clientId: z.string().regex(guid, 'a client id is a GUID').describe('application (client) id'),
  clientSecret: secret.describe('client secret'),
  authority: httpUrl
    .default('https://login.microsoftonline.com')
    .describe('URL of Microsoft Entra; national clouds have their own'),
});

/** A container of Azure Blob Storage. */
export const azureTarget = z
  .strictObject({
    type: z.literal('azure'),
    ...targetOptions,
    account: z
      .string()
      .regex(/^[a-z0-9]{3,24}$/, 'a storage account has 3 to 24 lower-case letters and digits')
      .describe('name of the storage account'),
    endpoint: httpUrl.optional().describe('URL of the blob service; default: https://ACCOUNT.blob.core.windows.net'),
    container: z
      .string()
      .regex(
        /^[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]$/,
        'a container has 3 to 63 lower-case letters, digits and single hyphens',
      )
      .describe('name of the container; must exist'),
    accountKey: secret.optional().describe('key of the storage account'),
    sasToken: secret.optional().describe('shared access signature (SAS) for the container, instead of a key'),
    entra: entra.optional().describe('client credentials of Microsoft Entra, instead of a key; needs https'),
    tls: httpTls.optional().describe('certificate authorities and client certificate for https'),
    prefix: z
      .string()
      .max(200)
      .regex(
        /^(?!\/)([\p{L}\p{N}._~+=@,()-]+\/?)*$/u,
        'a prefix does not begin with a slash, and has letters, digits and . _ ~ + = @ , ( ) -',
      )
      .refine((text) => !text.split('/').some((part) => part === '..' || part === '.'), 'a prefix has no . or .. in it')
      .default('')
      .describe('prefix of every blob name, e.g. "dicom/"'),
    key: instanceTemplate.default(uidTemplate).describe('template of the name of each blob, after the prefix'),
    maxParallel: z.int().min(1).max(64).default(4).describe('maximum parallel requests of one delivery'),
    blockSize: sizeBytes
      .default(8 * mebibyte)
      .refine((bytes) => bytes >= mebibyte && bytes <= 100 * mebibyte, '1MiB to 100MiB')
      .describe(
        'block size for larger instances; up to half of maxParallel blocks are sent in parallel and held in memory',
      ),
    existing: z
      .enum(['compare', 'overwrite'])
      .default('compare')
      .describe(
        'compare = existing objects are compared: identical content is kept, other content is handled by onConflict; overwrite = existing objects are replaced without comparison',
      ),
    onConflict: conflictOption,
    tier: z.enum(['Hot', 'Cool', 'Cold', 'Archive']).optional().describe('access tier; default: that of the account'),
    connectTimeout: durationMs.default(10_000).describe('maximum time to connect, including TLS'),
    timeout: durationMs.default(60_000).describe('maximum time without progress'),
    minBytesPerSecond: minBytesPerSecondOption,
    requestAttempts: z
      .int()
      .min(1)
      .max(10)
      .default(3)
      .describe('maximum tries of one request before the attempt fails'),
    marker: markerOption,
  })
  .refine(({ accountKey, sasToken, entra }) => [accountKey, sasToken, entra].filter(Boolean).length === 1, {
    message: 'one of accountKey, sasToken and entra is needed, and only one',
    path: ['accountKey'],
  })
  .refine(({ entra, endpoint }) => !entra || endpoint === undefined || endpoint.startsWith('https:'), {
    message: 'with entra the endpoint has to be https',
    path: ['endpoint'],
  });
export type AzureTarget = z.output<typeof azureTarget>;

/** The name of a blob has at most 1,024 characters. */
export function limitsOf({ prefix }: AzureTarget): RenderLimits {
  return { maxPathBytes: 1024 - Buffer.byteLength(prefix), maxSegmentBytes: 200 };
}
