import { createReadStream } from 'node:fs';
import { mkdir, rm, stat } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import type { Inventory, InventoryContext } from '@dicom-dispatch/target-kit';
import { heldFiles, sha256Of, type FileStore, type FoundFile } from '../inventory/index.ts';
import { translateRsyncEnd } from './errors.ts';
import { fetchFiles } from './judge-files.ts';
import { checkRemoteFolder } from './mark.ts';
import { routeTo } from './route.ts';
import { asPattern, rulesFor } from './rules.ts';
import { runProgram } from './run-program.ts';
import type { RsyncTarget } from './schema.ts';
import type { Transfer } from './transfer.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

/** Content of the folder on the server: names and sizes as rsync lists them, contents by fetching a file and removing it. */
export async function openRsyncInventory(context: InventoryContext<RsyncTarget>): Promise<Inventory> {
  const { config, memory, signal, pace } = context;
  const work = await makeWorkFolder(config);
  const into = join(work.path, 'fetched');
  let transfer: Transfer;
  try {
    await pace();
    transfer = { config, signal, route: await routeTo(config, work, signal) };
    await listFiles(transfer, work, []);
    if (config.rememberPlace) await checkRemoteFolder(transfer, work, memory, 'look');
    await mkdir(into, { recursive: true });
  } catch (thrown) {
    await work.remove();
    throw thrown;
  }
  const store: FileStore = {
    async list(folder) {
      await pace();
      const found = await listFiles(transfer, work, [`${folder === '.' ? '' : `${asPattern(folder)}/`}*`]);
      return new Map(Array.from(found, ([path, file]) => [posix.basename(path), file]));
    },
    async look(path) {
      await pace();
      return (await listFiles(transfer, work, [asPattern(path)])).get(path);
    },
    async sha256(path) {
      await pace();
      const here = join(into, path);
      try {
        await fetchFiles(transfer, work, into, [path], ['--whole-file']);
        const found = await stat(here).catch(() => undefined);
        return found?.isFile() ? await sha256Of(createReadStream(here)) : undefined;
      } finally {
        await rm(here, { recursive: true, force: true });
      }
    },
  };
  return {
    list: (study) => heldFiles(study, { layout: config.layout }, store),
    close: () => work.remove(),
  };
}

/** Files that match the patterns, by their paths; without patterns only the existence of the folder is checked. */
async function listFiles(
  { config, route, signal }: Transfer,
  work: WorkFolder,
  patterns: readonly string[],
): Promise<Map<string, FoundFile>> {
  const rules = await work.keep('inventory-rules', rulesFor(patterns));
  const args = [
    ...route.args,
    '--list-only',
    '--recursive',
    '--8-bit-output',
    '--no-human-readable',
    `--filter=merge ${rules}`,
    '--protect-args',
    route.folder,
  ];
  const found = new Map<string, FoundFile>();
  const end = await runProgram('rsync', args, {
    signal,
    env: route.env,
    silence: {
      limitMs: config.timeout === 0 ? 0 : config.connectTimeout + config.timeout,
      error: () => new DispatchError('target-timeout', `rsync at ${config.host} made no progress for too long`),
    },
    onLine(line) {
      // "-rw-r--r--          1,234 2026/11/29 18:00:00 a/b/1.2.3.dcm"
      const [, type, size = '', path] = /^([-lpsbcD])\S+\s+([\d,.]+) \S+ \S+ (.+)$/.exec(line) ?? [];
      if (path === undefined) return;
      found.set(path, { sizeBytes: Number(size.replaceAll(/[,.]/g, '')), kind: type === '-' ? 'file' : 'other' });
    },
  });
  if (end.status !== 0) throw translateRsyncEnd(end, config.host, 'Listing files', 'connect');
  return found;
}
