import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { translateRsyncEnd } from './errors.ts';
import { asPattern, rulesFor } from './rules.ts';
import { runProgram } from './run-program.ts';
import type { Transfer } from './transfer.ts';
import type { WorkFolder } from './work-folder.ts';

/**
 * Checks the login and the folder. Only temporary files are listed that a killed rsync has left beside the given paths:
 * `.NAME.XXXXXX` (rsync(1), "--temp-dir").
 *
 * @returns the paths of such files
 * @throws {DispatchError} in stage `connect`
 */
export async function lookAtFolder(
  { config, route, signal }: Transfer,
  work: WorkFolder,
  paths: readonly string[],
): Promise<string[]> {
  const rules = await work.keep('list-rules', listRules(paths));
  const args = [
    ...route.args,
    '--list-only',
    '--recursive',
    '--8-bit-output',
    `--filter=merge ${rules}`,
    '--protect-args',
    route.folder,
  ];
  const wanted = new Set(paths);
  const found: string[] = [];
  const end = await runProgram('rsync', args, {
    signal,
    env: route.env,
    // Nothing is printed until the login is complete.
    silence: {
      limitMs: config.timeout === 0 ? 0 : config.connectTimeout + config.timeout,
      error: () => new DispatchError('target-timeout', `rsync at ${config.host} made no progress for too long`),
    },
    onLine(line) {
      // "-rw-r--r--          1,234 2026/11/29 18:00:00 a/b/.1.2.3.dcm.Xy12aB"
      const path = /^-\S+\s+[\d,.]+ \S+ \S+ (.+)$/.exec(line)?.[1];
      const original = path === undefined ? undefined : originalOf(path);
      if (path !== undefined && original !== undefined && wanted.has(original)) found.push(path);
    },
  });
  if (end.status !== 0) throw translateRsyncEnd(end, config.host, 'Checking the folder', 'connect');
  return found;
}

function originalOf(path: string): string | undefined {
  const name = /^\.(.+)\.[A-Za-z0-9]{6}$/.exec(posix.basename(path))?.[1];
  return name === undefined ? undefined : posix.join(posix.dirname(path), name);
}

/** Rules that list only temporary files in the folders of the paths, and parent folders. */
function listRules(paths: readonly string[]): string {
  const folders = new Set(paths.map((path) => posix.dirname(path)));
  return rulesFor([...folders].map((folder) => `${folder === '.' ? '' : `${asPattern(folder)}/`}.?*.??????`));
}
