import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** For tests: creates files where an Orthanc would create its folders, as if its disk accepted nothing. */
export async function blockStorage(folder: string): Promise<{ undo(): Promise<void> }> {
  const storage = join(folder, 'storage');
  const aside = join(folder, 'aside');
  await mkdir(aside);
  const names = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
  const moved = new Set((await readdir(storage)).filter((name) => names.includes(name)));
  for (const name of moved) await rename(join(storage, name), join(aside, name));
  await Promise.all(names.map((name) => writeFile(join(storage, name), '', { flag: 'wx' })));
  return {
    async undo() {
      await Promise.all(names.map((name) => rm(join(storage, name))));
      for (const name of moved) await rename(join(aside, name), join(storage, name));
      await rm(aside, { recursive: true });
    },
  };
}
