import { formatBytes } from '@dicom-dispatch/core';
import { runChecks, type CheckStep } from '@dicom-dispatch/target-kit/checks';
import type { Check, CheckContext } from '@dicom-dispatch/target-kit';
import { describePlace } from '../place-mark/index.ts';
import { temporaryName } from '../template/index.ts';
import { Folders } from './folders.ts';
import { checkFolder } from './mark.ts';
import { lookAtFolder, lookForSpace, placeOf } from './place.ts';
import { renameProbe, writeProbe } from './probe.ts';
import type { FolderTarget } from './schema.ts';

export async function* testFolder(context: CheckContext<FolderTarget>): AsyncGenerator<Check> {
  await using folders = new Folders(placeOf(context.config, context.signal, 'connect'));
  yield* runChecks(stepsOf(context, folders), context.signal);
}

function stepsOf({ config, signal, memory }: CheckContext<FolderTarget>, folders: Folders): CheckStep[] {
  const place = placeOf(config, signal, 'connect');
  const { act } = place;
  const probe = temporaryName('probe');
  return [
    {
      name: 'exists',
      async run() {
        await folders.within('.', async () => {});
        return `${config.path} is a folder`;
      },
    },
    {
      name: 'permission',
      async run() {
        await lookAtFolder(place, folders);
        return 'the folder can be read, written and searched';
      },
    },
    {
      name: 'place',
      async run() {
        if (!config.rememberPlace) return { skip: 'rememberPlace is false' };
        const found = await checkFolder(place, folders, memory, 'look');
        return describePlace(found, memory !== undefined);
      },
    },
    {
      name: 'write',
      async run() {
        await folders.within('.', ({ base }) => act('Writing a probe', () => writeProbe(`${base}/${probe}`, config)));
        return config.fsync ? 'a probe was written and synced' : 'a probe was written';
      },
    },
    {
      name: 'rename',
      async run() {
        await folders.within('.', ({ base }) =>
          act('Renaming and removing a probe', () =>
            renameProbe(`${base}/${probe}`, `${base}/${temporaryName('probe')}`),
          ),
        );
        return 'the probe was renamed and removed';
      },
    },
    {
      name: 'space',
      async run() {
        return `${formatBytes(await lookForSpace(place, folders, 0))} are free`;
      },
    },
  ];
}
