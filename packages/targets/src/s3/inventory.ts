import { GetObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { posix } from 'node:path';
import type { Inventory, InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { heldFiles, sha256Of, tagIn, type FileStore, type FoundFile } from '../inventory/index.ts';
import { openBucket, type Bucket } from './bucket.ts';
import { enterBucket, isList } from './enter-bucket.ts';
import { isNotThere, notS3, translateS3Error } from './errors.ts';
import { etagOf, lookAtObject } from './look-at-object.ts';
import { limitsOf, type S3Target } from './schema.ts';

/** Content of the bucket: sizes and ETags by listing (without this permission by HEAD), contents by reading. */
export async function openS3Inventory(context: InventoryContext<S3Target>): Promise<Inventory> {
  const { config, signal, pace } = context;
  await pace();
  const bucket = await openBucket(config);
  let mayList: boolean;
  try {
    mayList = await enterBucket(bucket, signal);
  } catch (thrown) {
    bucket[Symbol.dispose]();
    throw thrown;
  }
  const store: FileStore = {
    list: async (folder) => (mayList ? listFolder(bucket, `${config.prefix}${folder}/`, context) : undefined),
    async look(path) {
      await pace();
      const found = await lookAtObject(bucket, config.prefix + path, signal);
      return found && { sizeBytes: found.ContentLength, kind: 'file', tag: etagOf(found.ETag) };
    },
    async sha256(path) {
      await pace();
      return readDigest(bucket, config.prefix + path, signal);
    },
    judgeTag: sameTag,
  };
  return {
    list: (study) => heldFiles(study, { layout: config.key, limits: limitsOf(config) }, store),
    close: async () => bucket[Symbol.dispose](),
  };
}

/** The ETag of an object created in one request is the MD5 of its bytes, which was compared when it was created. */
function sameTag({ answer }: ListedInstance, { tag }: FoundFile): 'same' | undefined {
  const answered = answer === undefined ? undefined : tagIn(answer);
  return answered !== undefined && answered === tag ? 'same' : undefined;
}

async function listFolder(
  bucket: Bucket,
  prefix: string,
  { signal, pace }: InventoryContext<S3Target>,
): Promise<ReadonlyMap<string, FoundFile>> {
  const all = new Map<string, FoundFile>();
  let token: string | undefined;
  do {
    await pace();
    const command = new ListObjectsV2Command({
      Bucket: bucket.name,
      Prefix: prefix,
      Delimiter: '/',
      ...(token !== undefined && { ContinuationToken: token }),
    });
    const found = await bucket.act('Listing a folder', signal, (sending) => bucket.client.send(command, sending));
    if (!isList(found)) throw notS3(bucket.host, 'Listing a folder');
    for (const { Key = '', Size, ETag } of found.Contents ?? []) {
      all.set(posix.basename(Key), { sizeBytes: Size, kind: 'file', tag: etagOf(ETag) });
    }
    token = found.IsTruncated ? found.NextContinuationToken : undefined;
  } while (token !== undefined);
  return all;
}

async function readDigest(bucket: Bucket, key: string, signal: AbortSignal): Promise<string | undefined> {
  const command = new GetObjectCommand({ Bucket: bucket.name, Key: key });
  try {
    const { Body } = await bucket.client.send(command, { abortSignal: signal });
    return Body && (await sha256Of(Body as AsyncIterable<Uint8Array>));
  } catch (thrown) {
    if (isNotThere(thrown)) return undefined;
    throw translateS3Error(thrown, bucket, 'Reading an object');
  }
}
