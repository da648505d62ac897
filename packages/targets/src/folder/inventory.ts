import { lstat, readdir } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Inventory, InventoryContext } from '@dicom-dispatch/target-kit';
import { heldFiles, sha256Of, type FileStore, type FoundFile } from '../inventory/index.ts';
import { fsCode } from './errors.ts';
import { Folders } from './folders.ts';
import { checkFolder } from './mark.ts';
import { placeOf } from './place.ts';
import { chunksOf } from './read-chunks.ts';
import type { FolderTarget } from './schema.ts';

/** Content of the folder: names and sizes from the file system, contents by reading. */
export async function openFolderInventory(context: InventoryContext<FolderTarget>): Promise<Inventory> {
  const { config, memory, signal, pace } = context;
  const place = placeOf(config, signal);
  const folders = new Folders(place);
  try {
    if (config.rememberPlace) await checkFolder(placeOf(config, signal, 'connect'), folders, memory, 'look');
    else await folders.within('.', async () => {});
  } catch (thrown) {
    await folders[Symbol.asyncDispose]();
    throw thrown;
  }

  async function look(base: string, name: string): Promise<FoundFile | undefined> {
    return place.act('Checking a file', async () => {
      try {
        const found = await lstat(`${base}/${name}`);
        return { sizeBytes: found.size, kind: found.isFile() ? 'file' : 'other' };
      } catch (error) {
        if (fsCode(error) === 'ENOENT') return undefined;
        throw error;
      }
    });
  }

  const store: FileStore = {
    async list(folder) {
      await pace();
      const found = await folders.withinIfThere(folder, async ({ base }) => {
        const all = new Map<string, FoundFile>();
        for (const name of await place.act('Listing a folder', () => readdir(`${base}/.`))) {
          const file = await look(base, name);
          if (file) all.set(name, file);
        }
        return all;
      });
      return found ?? new Map();
    },
    async look(path) {
      await pace();
      return folders.withinIfThere(posix.dirname(path), ({ base }) => look(base, posix.basename(path)));
    },
    async sha256(path) {
      await pace();
      return folders.withinIfThere(posix.dirname(path), ({ base }) =>
        sha256Of(chunksOf(place, `${base}/${posix.basename(path)}`)),
      );
    },
  };
  return {
    list: (study) => heldFiles(study, { layout: config.layout }, store),
    close: () => folders[Symbol.asyncDispose](),
  };
}
