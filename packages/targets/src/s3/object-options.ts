import type { CreateMultipartUploadCommandInput } from '@aws-sdk/client-s3';
import type { ManifestInstance, StudyTags } from '@dicom-dispatch/target-kit';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import type { S3Target } from './schema.ts';

/** Options for every new object, in one request or in parts. */
export type ObjectOptions = Pick<
  CreateMultipartUploadCommandInput,
  'ContentType' | 'ServerSideEncryption' | 'SSEKMSKeyId' | 'StorageClass' | 'Tagging' | 'Metadata'
>;

export function objectOptions(
  config: S3Target,
  study: StudyTags,
  instance: ManifestInstance | undefined,
  contentType = 'application/dicom',
): ObjectOptions {
  const render = (template: string): string => renderTemplate(parseTemplate(template), study, instance);
  const tags = Object.entries(config.tags).map(([name, value]): [string, string] => [name, tagValue(render(value))]);
  const metadata = Object.entries(config.metadata).map(([name, value]) => [name, headerValue(render(value))]);
  return {
    ContentType: contentType,
    ...(config.encryption === 's3' && { ServerSideEncryption: 'AES256' as const }),
    ...(config.encryption === 'kms' && { ServerSideEncryption: 'aws:kms' as const }),
    ...(config.kmsKeyId !== undefined && { SSEKMSKeyId: config.kmsKeyId }),
    // The SDK's list of classes is that of Amazon; other servers have their own.
    ...(config.storageClass !== undefined && { StorageClass: config.storageClass as never }),
    ...(tags.length > 0 && { Tagging: new URLSearchParams(tags).toString() }),
    ...(metadata.length > 0 && { Metadata: Object.fromEntries(metadata) as Record<string, string> }),
  };
}

/** Values of tags have letters, digits, spaces and + - = . _ : / @, at most 256 of them. */
function tagValue(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N} +=._:/@-]/gu, '_').slice(0, 256);
}

/** Metadata travels in headers: ASCII, the rest percent-encoded as in RFC 3986. */
function headerValue(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text);
}

/** The algorithm as named by the SDK; undefined if the SDK sends none. */
export function checksumAlgorithm({ checksum }: S3Target): 'CRC32' | 'CRC32C' | 'SHA1' | 'SHA256' | undefined {
  switch (checksum) {
    case 'crc32':
      return 'CRC32';
    case 'crc32c':
      return 'CRC32C';
    case 'sha1':
      return 'SHA1';
    case 'sha256':
      return 'SHA256';
    case 'md5':
    case 'none':
      return undefined;
  }
}
