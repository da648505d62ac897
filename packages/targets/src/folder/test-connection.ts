import { constants } from 'node:fs';
import { access, open, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { formatBytes } from '@dicom-dispatch/core';
import { runChecks, type CheckStep } from '../checks/index.ts';
import type { Check, CheckContext } from '../contract/index.ts';
import { lookAtFolder, lookForSpace, placeOf, type Place } from './place.ts';
import type { FolderTarget } from './schema.ts';
import { temporaryName } from '../template/index.ts';
import { removeIfThere } from './left-overs.ts';

export async function* testFolder({ config, signal }: CheckContext<FolderTarget>): AsyncGenerator<Check> {
  const place = placeOf(config, signal, 'connect');
  yield* runChecks(stepsOf(place), signal);
}

function stepsOf(place: Place): CheckStep[] {
  const { config, act } = place;
  const probe = join(config.path, temporaryName('probe'));
  return [
    {
      name: 'exists',
      async run() {
        await lookAtFolder(place);
        return `${config.path} is a folder`;
      },
    },
    {
      name: 'permission',
      async run() {
        const wanted = constants.R_OK | constants.W_OK | constants.X_OK;
        await act('Reading, writing and searching', () => access(config.path, wanted));
        return 'the folder can be read, written and searched';
      },
    },
    {
      name: 'write',
      async run() {
        await act('Writing a probe', () => writeProbe(probe, config));
        return config.fsync ? 'a probe was written and synced' : 'a probe was written';
      },
    },
    {
      name: 'rename',
      async run() {
        const renamed = join(config.path, temporaryName('probe'));
        try {
          await act('Renaming and removing a probe', async () => {
            await rename(probe, renamed);
            await unlink(renamed);
          });
        } finally {
          await Promise.allSettled([removeIfThere(renamed), removeIfThere(probe)]);
        }
        return 'the probe was renamed and removed';
      },
    },
    {
      name: 'space',
      async run() {
        return `${formatBytes(await lookForSpace(place, 0))} are free`;
      },
    },
  ];
}

async function writeProbe(path: string, { mode, owner, fsync }: FolderTarget): Promise<void> {
  const handle = await open(path, 'wx', mode);
  try {
    await handle.write('dicom-dispatch probe\n');
    if (owner) await handle.chown(owner.uid, owner.gid);
    if (mode !== undefined) await handle.chmod(mode);
    if (fsync) await handle.sync();
  } catch (error) {
    await removeIfThere(path).catch(() => {});
    throw error;
  } finally {
    await handle.close();
  }
}
