import { mkdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { asPattern } from './rules.ts';
import { runProgram } from './run-program.ts';
import type { Transfer } from './transfer.ts';
import type { WorkFolder } from './work-folder.ts';

/**
 * Removes only these files from the server's folder, by sending empty folders with all other names protected.
 *
 * @returns whether they were removed: a daemon may refuse to delete
 */
export async function removeFiles(
  { route, signal }: Transfer,
  work: WorkFolder,
  paths: readonly string[],
): Promise<boolean> {
  const empty = join(work.path, 'empty');
  for (const folder of new Set(paths.map((path) => posix.dirname(path)))) {
    await mkdir(join(empty, folder), { recursive: true });
  }
  const rules = await work.keep('removal-rules', `${paths.map((path) => `R /${asPattern(path)}\n`).join('')}P *\n`);
  const args = [
    ...route.args,
    '--recursive',
    '--delete',
    `--filter=merge ${rules}`,
    '--protect-args',
    `${empty}/`,
    route.folder,
  ];
  const end = await runProgram('rsync', args, { signal, env: route.env });
  return end.status === 0;
}
