import { posix } from 'node:path';
import type { Inventory, InventoryContext, ListedInstance } from '@dicom-dispatch/target-kit';
import { heldFiles, sha256Of, tagIn, type FileStore, type FoundFile } from '../inventory/index.ts';
import { hexOf, lookAtBlob } from './blob.ts';
import { openContainer, type Container } from './container.ts';
import { isNotThere, translateAzureError } from './errors.ts';
import { enterContainer } from './known-names.ts';
import { limitsOf, type AzureTarget } from './schema.ts';

/** Content of the container: sizes and MD5s by listing, or by checking each name if listing is not permitted; contents by reading. */
export async function openAzureInventory(context: InventoryContext<AzureTarget>): Promise<Inventory> {
  const { config, signal, pace } = context;
  await pace();
  const container = await openContainer(config);
  let mayList: boolean;
  try {
    mayList = await enterContainer(container, signal);
  } catch (thrown) {
    await container[Symbol.asyncDispose]();
    throw thrown;
  }
  const store: FileStore = {
    list: async (folder) => (mayList ? listFolder(container, `${config.prefix}${folder}/`, context) : undefined),
    async look(path) {
      await pace();
      const found = await lookAtBlob(container, config.prefix + path, signal);
      return found && { sizeBytes: found.sizeBytes, kind: 'file', tag: found.md5 };
    },
    async sha256(path) {
      await pace();
      return readDigest(container, config.prefix + path, signal);
    },
    judgeTag: sameTag,
  };
  return {
    list: (study) => heldFiles(study, { layout: config.key, limits: limitsOf(config) }, store),
    close: async () => container[Symbol.asyncDispose](),
  };
}

function sameTag({ answer }: ListedInstance, { tag }: FoundFile): 'same' | undefined {
  const answered = answer === undefined ? undefined : tagIn(answer);
  return answered !== undefined && answered === tag ? 'same' : undefined;
}

async function listFolder(
  container: Container,
  prefix: string,
  { signal, pace }: InventoryContext<AzureTarget>,
): Promise<ReadonlyMap<string, FoundFile>> {
  await pace();
  return container.act('Listing a folder', signal, async (sending) => {
    const all = new Map<string, FoundFile>();
    for await (const page of container.client.listBlobsByHierarchy('/', { prefix, ...sending }).byPage()) {
      for (const { name, properties } of page.segment.blobItems) {
        const { contentLength: sizeBytes, contentMD5 } = properties;
        all.set(posix.basename(name), { sizeBytes, kind: 'file', tag: hexOf(contentMD5) });
      }
      if (page.continuationToken) await pace();
    }
    return all;
  });
}

async function readDigest(container: Container, name: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const answer = await container.client.getBlobClient(name).download(undefined, undefined, { abortSignal: signal });
    return answer.readableStreamBody && (await sha256Of(answer.readableStreamBody as AsyncIterable<Buffer>));
  } catch (thrown) {
    if (isNotThere(thrown)) return undefined;
    throw translateAzureError(thrown, container.host, 'Reading a blob');
  }
}
