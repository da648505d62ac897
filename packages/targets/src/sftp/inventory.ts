import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import type { Inventory, InventoryContext } from '@dicom-dispatch/target-kit';
import { heldFiles, sha256Of, type FileStore, type FoundFile } from '../inventory/index.ts';
import { hasStatus, isNoSuchFile } from './errors.ts';
import { lookAtFolder } from './look-at-server.ts';
import { checkRemoteFolder } from './mark.ts';
import { remoteChunks } from './remote-chunks.ts';
import type { SftpTarget } from './schema.ts';
import type { Found } from './found.ts';
import { SftpSession } from './session.ts';

/** Content of the folder on the server: names and sizes by listing, contents by reading. */
export async function openSftpInventory(context: InventoryContext<SftpTarget>): Promise<Inventory> {
  const { config, memory, signal, pace } = context;
  await pace();
  const session = await SftpSession.open(config, signal);
  try {
    await lookAtFolder(session, signal);
    if (config.rememberPlace) await checkRemoteFolder(session, memory, 'look', signal);
  } catch (thrown) {
    session.end();
    throw thrown;
  }
  const store: FileStore = {
    async list(folder) {
      await pace();
      const all = new Map<string, FoundFile>();
      try {
        for await (const portion of session.list(posix.join(config.path, folder), signal)) {
          for (const one of portion) all.set(one.name, asFile(one));
        }
      } catch (thrown) {
        // Some servers forbid listing, but report single files.
        if (thrown instanceof DispatchError && hasStatus(thrown.cause)) return undefined;
        throw thrown;
      }
      return all;
    },
    async look(path) {
      await pace();
      const found = await session.lookAt(posix.join(config.path, path), signal);
      return found === undefined || found === 'refused' ? found : asFile(found);
    },
    async sha256(path) {
      await pace();
      try {
        return await sha256Of(remoteChunks(session, posix.join(config.path, path), signal));
      } catch (thrown) {
        if (thrown instanceof DispatchError && isNoSuchFile(thrown.cause)) return undefined;
        throw thrown;
      }
    },
  };
  return {
    list: (study) => heldFiles(study, { layout: config.layout }, store),
    close: async () => session.end(),
  };
}

function asFile({ kind, size }: Found): FoundFile {
  return { sizeBytes: size, kind: kind === 'file' ? 'file' : 'other' };
}
