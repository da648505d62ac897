import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TargetMemory } from '@dicom-dispatch/target-kit';
import { checkPlace, markName, type MarkedPlace, type PlaceFound } from '../place-mark/index.ts';
import { translateRsyncEnd } from './errors.ts';
import { runProgram } from './run-program.ts';
import { transferFiles, type Transfer } from './transfer.ts';
import type { WorkFolder } from './work-folder.ts';

/** @throws {DispatchError} when the folder is not the one that the target was set up with */
export async function checkRemoteFolder(
  transfer: Transfer,
  work: WorkFolder,
  memory: TargetMemory | undefined,
  act: 'set up' | 'look',
): Promise<PlaceFound> {
  const { host, via, path } = transfer.config;
  const folder = join(work.path, 'mark');
  await mkdir(folder, { recursive: true });
  const send = async (content: Buffer, how: 'new' | 'replace'): Promise<boolean> => {
    await writeFile(join(folder, markName), content);
    const { arrived, error } = await transferFiles(transfer, folder, [markName], how);
    if (error) throw error;
    return arrived.has(markName);
  };
  const marked: MarkedPlace = {
    path: `${host}:${via.port} ${via.type === 'daemon' ? `${via.module}/` : ''}${path}`,
    shown: `${host}: the folder of the target`,
    async read() {
      await rm(join(folder, markName), { force: true });
      await fetchMark(transfer, folder);
      return readFile(join(folder, markName)).catch(() => undefined);
    },
    write: async (content) => void (await send(content, 'replace')),
    create: (content) => send(content, 'new'),
  };
  return checkPlace(marked, memory, act);
}

/** A missing file is not an error: the rules only include it. */
async function fetchMark({ config, route, signal }: Transfer, folder: string): Promise<void> {
  const args = [
    ...route.args,
    '--dirs',
    '--max-size=8k',
    `--include=/${markName}`,
    '--exclude=*',
    '--protect-args',
    route.folder,
    `${folder}/`,
  ];
  const end = await runProgram('rsync', args, { signal, env: route.env });
  if (end.status !== 0) throw translateRsyncEnd(end, config.host, 'Reading the mark of the folder', 'connect');
}
