import type { TargetAbout } from '@dicom-dispatch/core';
import type { S3Target } from './schema.ts';

/** Description of the type for forms, the JSON Schema and the example configuration. */
export const s3About: TargetAbout<S3Target> = {
  displayName: 'S3 bucket',
  purpose: 'Stores instances as objects in a bucket of Amazon S3 or of a server that speaks S3.',
  icon: 'M7 18a4 4 0 0 1 0-8 5 5 0 0 1 9.6-1.5A4.5 4.5 0 0 1 17 18z',
  groups: {
    basic: ['bucket', 'endpoint', 'region', 'prefix', 'key'],
    security: ['accessKeyId', 'secretAccessKey', 'sessionToken', 'role', 'tls', 'encryption', 'kmsKeyId'],
    speed: ['maxParallel', 'partSize'],
  },
  example: { bucket: 'images', region: 'eu-central-1' },
  help: 'docs/targets/s3.md',
  info: ({ bucket, prefix, endpoint, region }) =>
    `${bucket}${prefix === '' ? '' : `/${prefix}`} at ${endpoint === undefined ? `Amazon ${region}` : endpoint}`,
};
