import { execFile } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import { promisify } from 'node:util';
import { tempFolder } from './temp-folder.ts';
import type { TempFolder } from './temp-folder.ts';
import { unwatch, watch } from './watchdog.ts';

const run = promisify(execFile);

/** A separate file system in memory that is full after `sizeBytes` (ENOSPC). Requires root and permission to mount. */
export async function tempDisk({ sizeBytes }: { readonly sizeBytes: number }): Promise<TempFolder> {
  const folder = await tempFolder('disk');
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes},mode=0777`, 'tmpfs', folder.path]);
  } catch (error) {
    await folder.remove();
    throw new Error('a temporary disk needs root and the right to mount; run this test as root', { cause: error });
  }
  watch('mount', folder.path);
  await chmod(folder.path, 0o777);
  async function remove(): Promise<void> {
    await run('umount', ['-l', folder.path]);
    unwatch('mount', folder.path);
    await folder.remove();
  }
  return { path: folder.path, remove, [Symbol.asyncDispose]: remove };
}
