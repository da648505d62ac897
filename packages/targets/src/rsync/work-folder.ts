import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAbandoned, shortHash } from '../template/index.ts';
import { translateSpoolError } from './errors.ts';
import type { RsyncTarget } from './schema.ts';

const beginning = 'dicom-dispatch-rsync-';

/** A private folder on this machine for one attempt, audit or test: batches, and files that ssh and rsync need as files. */
export interface WorkFolder {
  readonly path: string;
  /** Writes a file that only this user may read. @returns its path */
  keep(name: string, content: string, mode?: number): Promise<string>;
  remove(): Promise<void>;
}

/**
 * Creates the folder, and removes those that earlier attempts of this delivery, or others more than a day ago, have left.
 *
 * @param deliveryId - undefined for an audit or a test of the connection: several of these may run on this machine at once
 * @throws {DispatchError} `local-resources`
 */
export async function makeWorkFolder(config: RsyncTarget, deliveryId?: string): Promise<WorkFolder> {
  const parent = config.spool ?? tmpdir();
  const ours = deliveryId === undefined ? undefined : `${beginning}${shortHash(deliveryId, 12)}-`;
  try {
    await removeLeftOvers(parent, ours);
    const path = await mkdtemp(join(parent, ours ?? beginning));
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

async function removeLeftOvers(parent: string, ours: string | undefined): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.startsWith(beginning)) continue;
    const path = join(parent, name);
    const isOurs = ours !== undefined && name.startsWith(ours);
    if (isOurs || (await isOld(path))) await rm(path, { recursive: true, force: true });
  }
}

async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && isAbandoned(found.mtimeMs);
}
