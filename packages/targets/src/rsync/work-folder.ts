import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAbandoned, shortHash } from '../template/index.ts';
import { translateSpoolError } from './errors.ts';
import type { RsyncTarget } from './schema.ts';

const beginning = 'dicom-dispatch-rsync-';

/** A private folder on this machine for one attempt: batches, and files that ssh and rsync need as files. */
export interface WorkFolder {
  readonly path: string;
  /** Writes a file that only we may read. */
  keep(name: string, content: string, mode?: number): Promise<string>;
  remove(): Promise<void>;
}

/** Creates the folder, and removes those that earlier attempts of this delivery, or others long ago, have left. */
export async function makeWorkFolder(config: RsyncTarget, deliveryId: string): Promise<WorkFolder> {
  const parent = config.spool ?? tmpdir();
  try {
    await removeLeftOvers(parent, deliveryId);
    const path = await mkdtemp(join(parent, `${beginning}${shortHash(deliveryId, 12)}-`));
    await chmod(path, 0o700);
    await mkdir(join(path, 'spool'));
    return {
      path,
      async keep(name, content, mode = 0o600) {
        const file = join(path, name);
        await writeFile(file, content, { mode });
        return file;
      },
      remove: () => rm(path, { recursive: true, force: true, maxRetries: 3 }),
    };
  } catch (thrown) {
    throw translateSpoolError(thrown, parent);
  }
}

async function removeLeftOvers(parent: string, deliveryId: string): Promise<void> {
  const ours = `${beginning}${shortHash(deliveryId, 12)}-`;
  for (const name of await readdir(parent)) {
    if (!name.startsWith(beginning)) continue;
    const path = join(parent, name);
    if (name.startsWith(ours) || (await isOld(path))) await rm(path, { recursive: true, force: true });
  }
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && isAbandoned(found.mtimeMs);
}
