import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@dicom-dispatch/harness';
import type { RunningDispatch } from './start-dispatch.ts';
import type { UploadedStudy } from './system.ts';

/** The folder in which a router of a test keeps its notes. */
export function notesFolder(dispatch: Pick<RunningDispatch, 'folder'>): string {
  return join(dispatch.folder, 'data', 'recovery');
}

/**
 * Waits until the notes file contains a study with its deliveries in the given states.
 *
 * @param states - `TARGET STATE` of each delivery, sorted
 */
export async function untilNoted(
  dispatch: Pick<RunningDispatch, 'folder'>,
  study: UploadedStudy,
  states: readonly string[],
): Promise<void> {
  let found = '';
  await waitFor(
    async () => {
      const files = await readdir(notesFolder(dispatch));
      const file = files.find((name) => /^redis-notes-.*\.json$/.test(name)) ?? '';
      const { sources } = JSON.parse(await readFile(join(notesFolder(dispatch), file), 'utf8')) as NotesOnDisk;
      const noted = sources.main.studies.find(([id]) => id === study.orthancStudyId);
      found = (noted?.[3] ?? [])
        .map(([, target, , state]) => `${target} ${state}`)
        .sort()
        .join();
      return found === states.join();
    },
    { intervalMs: 100, message: () => `notes of ${study.orthancStudyId}: they have "${found}"` },
  );
}

interface NotesOnDisk {
  readonly sources: {
    readonly main: { readonly studies: readonly [string, string, number, [string, string, string, string][]][] };
  };
}
