import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { DispatchError } from '@dicom-dispatch/core';
import type { S3Target } from './schema.ts';

/**
 * The address to which the SDK connects for the bucket of a target: the host name depends on the region, on access points, and on
 * whether the bucket is part of it.
 *
 * @throws {DispatchError} `config-invalid`
 */
export async function addressOf(config: S3Target): Promise<URL> {
  let found: URL | undefined;
  const client = new S3Client({
    region: config.region,
    forcePathStyle: config.pathStyle ?? config.endpoint !== undefined,
    ...(config.endpoint !== undefined && { endpoint: config.endpoint }),
    // Never used: the request ends before it is signed.
    credentials: { accessKeyId: 'none', secretAccessKey: 'none' },
  });
  client.middlewareStack.add(
    () => async (args) => {
      const { protocol, hostname, port } = args.request as { protocol: string; hostname: string; port?: number };
      found = new URL(`${protocol}//${hostname}${port === undefined ? '' : `:${port}`}`);
      throw new Error('the address is known');
    },
    { step: 'build', priority: 'low' },
  );
  try {
    await client.send(new HeadBucketCommand({ Bucket: config.bucket }));
  } catch (cause) {
    if (!found) {
      throw new DispatchError('config-invalid', 'bucket, region and endpoint do not form a valid address', {
        cause,
        stage: 'connect',
        remedy: 'Correct bucket, region and endpoint.',
      });
    }
  } finally {
    client.destroy();
  }
  if (found) return found;
  throw new DispatchError('internal', 'the address of the bucket is not known');
}
