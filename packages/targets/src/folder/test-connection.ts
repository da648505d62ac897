import { formatBytes } from '@dicom-dispatch/core';
import { runChecks, type CheckStep } from '../checks/index.ts';
import type { Check, CheckContext } from '../contract/index.ts';
import type { PlaceFound } from '../place-mark/index.ts';
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

const placeSays: Readonly<Record<PlaceFound, string>> = {
  known: 'the folder is the one that the target was set up with',
  new: 'the folder is not marked yet; the first delivery marks it',
  'taken over': 'the folder has a mark; the next delivery remembers it',
  'marked again':
    'the folder is the one that the target was set up with; its mark was removed, the next delivery marks it',
};

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
        return memory || found === 'new'
          ? placeSays[found]
          : 'the folder has a mark; Redis was not asked whether it is known';
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
