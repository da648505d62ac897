import { durationMs, minBytesPerSecondOption, secret, sizeBytes, targetOptions } from '@dicom-dispatch/core';
import { z } from 'zod';
import { conflictOption } from '../conflict/index.ts';
import { httpTls, httpUrl } from '../http/http-options.ts';
import { markerOption } from '../marker/index.ts';
import { instanceTemplate, parseTemplate, TemplateError, uidTemplate, type RenderLimits } from '../template/index.ts';

const mebibyte = 1024 * 1024;

/** Text with tags in it, for one value. */
const valueTemplate = z.string().superRefine((text, context) => {
  try {
    if (parseTemplate(text).length > 1) throw new TemplateError('a value has no slash');
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
});

const role = z.strictObject({
  arn: z
    .string()
    .regex(
      /^arn:[a-z0-9-]+:iam::\d{12}:role\/[\w+=,.@/-]{1,576}$/,
      'the ARN of an IAM role: arn:aws:iam::123456789012:role/name',
    )
    .describe('ARN of the role to assume'),
  sessionName: z
    .string()
    .regex(/^[\w+=,.@-]{2,64}$/)
    .default('dicom-dispatch')
    .describe('session name, shown in the logs of the cloud'),
  externalId: z.string().min(2).max(1224).optional().describe('external id required by the role'),
  duration: durationMs
    .default(3_600_000)
    .refine((ms) => ms >= 900_000 && ms <= 43_200_000, '15m to 12h')
    .describe('duration of a session; it is renewed before it expires'),
  stsEndpoint: httpUrl.optional().describe('URL of the security token service (STS); default: that of the region'),
});

/** A bucket of Amazon S3, or of any server with its protocol. */
export const s3Target = z
  .strictObject({
    type: z.literal('s3'),
    ...targetOptions,
    bucket: z
      .string()
      .regex(
        /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$|^arn:[\w:/.-]+$/,
        'a bucket has 3 to 63 letters, digits, dots and hyphens',
      )
      .describe('name of the bucket, or ARN of an access point; must exist'),
    endpoint: httpUrl.optional().describe('URL of an S3 server other than Amazon, e.g. https://s3.example.org'),
    pathStyle: z
      .boolean()
      .optional()
      .describe(
        'put the bucket name into the path of the URL, not into the host name; default: true with an endpoint, else false',
      ),
    region: z
      .string()
      .regex(/^[a-z0-9-]{1,64}$/, 'a region, e.g. eu-central-1')
      .default('us-east-1')
      .describe('region of the bucket'),
    accessKeyId: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('access key; default: the credential provider chain of the AWS SDK'),
    secretAccessKey: secret.optional().describe('secret access key'),
    sessionToken: secret.optional().describe('session token of temporary keys'),
    role: role.optional().describe('role to assume with these keys'),
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
      .describe('prefix of every key, e.g. "dicom/"'),
    key: instanceTemplate.default(uidTemplate).describe('template of the key of each instance, after the prefix'),
    maxParallel: z.int().min(1).max(64).default(4).describe('maximum parallel requests of one delivery'),
    partSize: sizeBytes
      .default(8 * mebibyte)
      .refine((bytes) => bytes >= 5 * mebibyte && bytes <= 512 * mebibyte, '5MiB to 512MiB')
      .describe(
        'part size for larger instances; up to half of maxParallel parts are sent in parallel and held in memory',
      ),
    checksum: z
      .enum(['crc32', 'crc32c', 'sha1', 'sha256', 'md5', 'none'])
      .default('crc32')
      .describe('checksum that the server verifies; md5 (Content-MD5) or none for old servers'),
    verify: z
      .enum(['none', 'size', 'checksum', 'answer'])
      .default('answer')
      .describe(
        'check each object after the upload (HEAD): size, or checksum as well; answer = only if the response to the upload has no MD5 (ETag) to compare',
      ),
    existing: z
      .enum(['compare', 'overwrite'])
      .default('compare')
      .describe(
        'compare = existing objects are compared: identical content is kept, other content is handled by onConflict; overwrite = existing objects are replaced without comparison',
      ),
    onConflict: conflictOption,
    conditionalWrites: z
      .boolean()
      .optional()
      .describe(
        'conditional writes (If-None-Match): the server refuses to replace an object that was created in the meantime, also by another dispatcher; default: true for Amazon, false with an endpoint, because many servers do not support it',
      ),
    encryption: z
      .enum(['none', 's3', 'kms'])
      .default('none')
      .describe('server-side encryption; none = default of the bucket'),
    kmsKeyId: z
      .string()
      .min(1)
      .max(2048)
      .optional()
      .describe('key id for encryption: kms; default: that of the account'),
    storageClass: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]{2,40}$/, 'a storage class, e.g. STANDARD_IA')
      .optional()
      .describe('storage class; default: that of the bucket'),
    tags: z
      .record(
        z.string().regex(/^[\p{L}\p{N} +=._:/@-]{1,128}$/u, 'a tag has letters, digits, spaces and + - = . _ : / @'),
        valueTemplate,
      )
      .refine((tags) => Object.keys(tags).length <= 10, 'an object has at most 10 tags')
      .default({})
      .describe('object tags; values are templates, e.g. { modality: "{Modality}" }'),
    metadata: z
      .record(z.string().regex(/^[a-z0-9-]{1,64}$/, 'a name of metadata has a-z, 0-9 and hyphens'), valueTemplate)
      .default({})
      .describe('object metadata; values are templates, percent-encoded where they are not ASCII'),
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
  .refine((target) => (target.accessKeyId === undefined) === (target.secretAccessKey === undefined), {
    message: 'accessKeyId and secretAccessKey must be set together',
    path: ['secretAccessKey'],
  })
  .refine((target) => target.kmsKeyId === undefined || target.encryption === 'kms', {
    message: 'kmsKeyId needs encryption: kms',
    path: ['kmsKeyId'],
  });
export type S3Target = z.output<typeof s3Target>;

/** A key has at most 1,024 bytes in UTF-8. */
export function limitsOf({ prefix }: S3Target): RenderLimits {
  return { maxPathBytes: 1024 - Buffer.byteLength(prefix), maxSegmentBytes: 200 };
}
