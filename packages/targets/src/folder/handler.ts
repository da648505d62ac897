import { posix } from 'node:path';
import { DispatchError } from '@dicom-dispatch/core';
import { isLocalFolder } from '@dicom-dispatch/orthanc';
import { placesOf, targetConflict, type Places } from '../conflict/index.ts';
import {
  contractVersion,
  type DeliveryRun,
  type ManifestInstance,
  type TargetHandler,
} from '@dicom-dispatch/target-kit';
import { borrowed, inLanes, throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { studyMarker } from '../marker/index.ts';
import { folderAbout } from './about.ts';
import { Folders, throughHandles } from './folders.ts';
import { GroupWriter, maxGroupFileBytes, maxGroupFiles } from './group-writer.ts';
import { openFolderInventory } from './inventory.ts';
import { checkFolder } from './mark.ts';
import { lookAtFolder, lookForSpace, placeOf } from './place.ts';
import { folderTarget, type FolderTarget } from './schema.ts';
import { removeLeftOvers } from './left-overs.ts';
import { testFolder } from './test-connection.ts';
import { writeFile } from './write-file.ts';
import { writeThreads } from './write-threads.ts';

export const folderHandler: TargetHandler<FolderTarget> = {
  contractVersion,
  type: 'folder',
  about: folderAbout,
  schema: folderTarget,
  sendsParts: true,
  deliver,
  testConnection: testFolder,
  inventory: openFolderInventory,
};

type Run = DeliveryRun<FolderTarget>;

/** Writes each pending instance as a separate file; it is on disk, verified and under its final name when reported. */
async function deliver(run: Run): Promise<void> {
  const { config, signal } = run;
  throwIfCancelled(signal);
  run.stage('connect');
  const connecting = placeOf(config, signal, 'connect');
  await using folders = new Folders(placeOf(config, signal));
  await lookAtFolder(connecting, folders);
  if (config.rememberPlace) {
    await checkFolder(connecting, folders, run.memory, 'set up', (path) =>
      run.log.warn('a folder cannot be marked: it would not be noticed that its share is not mounted', { path }),
    );
  }
  const neededBytes = run.pending.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
  await lookForSpace(connecting, folders, neededBytes);

  run.stage('transfer');
  const places = placesOf(run, config.path, config.layout);
  await lookAround(run, folders, places);
  const quarantined = await send(run, folders, places);
  if (run.isPart) return;

  // Each file was verified before its rename: afterwards a consumer of the folder may already have taken it.
  run.stage('verify');
  run.stage('finalize');
  await writeMarker(run, folders, places, quarantined);
}

/** Removes temporary files of earlier attempts. */
async function lookAround(run: Run, folders: Folders, places: Places): Promise<void> {
  const place = placeOf(run.config, run.signal);
  let count = 0;
  for (const folder of new Set(run.pending.map((instance) => posix.dirname(places.pathOf(instance))))) {
    try {
      count += await removeLeftOvers(place, folders, folder, run.deliveryId);
    } catch (thrown) {
      // An error that concerns one folder of the layout is reported later, for the instances in it.
      if (folder === '.' || !(thrown instanceof DispatchError) || thrown.disposition !== 'halt') throw thrown;
    }
  }
  if (count > 0) run.log.info('leftover temporary files removed', { count });
}

async function send(run: Run, folders: Folders, places: Places): Promise<readonly ManifestInstance[]> {
  const { instances, quarantined: shared } = await places.divide();
  let replaced = 0;
  const { maxParallel } = run.config;
  const isAllSmall = run.sizes !== 'estimated' && instances.every(isSmall);
  // With larger files, more lanes would write more of them in parallel.
  const lanes = isAllSmall ? Math.max(maxParallel, maxGroupFiles) : maxParallel;
  using writer = await openGroupWriter(run, folders, instances, lanes);
  const options = { lanes: writer ? lanes : maxParallel, prefetch: maxParallel, instances };
  const { quarantined } = await inLanes(run, options, async ({ instance, bytes }, { signal, lane }) => {
    const settled = await writeFile(placeOf(run.config, signal), folders, run.deliveryId, {
      path: places.pathOf(instance),
      body: borrowed(bytes),
      sizeBytes: bytes.sizeBytes,
      ...(writer?.fits(lane, bytes.sizeBytes) && { group: { writer, lane } }),
      ...places.claim(instance),
    });
    if (settled === 'replaced') replaced += 1;
    return { kind: 'delivered', answer: `${settled} as ${places.shownPathOf(instance)}` };
  });
  if (replaced > 0) run.log.info('earlier versions of instances replaced', { count: replaced });
  return [...shared, ...quarantined];
}

/** A thread is started for at least this number of files: its start costs as much CPU time as it saves for about this number. */
const worthThread = 100;
const pageBytes = 4096;

function isSmall({ sizeBytes }: ManifestInstance): boolean {
  return sizeBytes <= maxGroupFileBytes;
}

/** The writer of small files, on a local file system. Small parts of a study that is being received have none. */
async function openGroupWriter(
  run: Run,
  folders: Folders,
  instances: readonly ManifestInstance[],
  lanes: number,
): Promise<GroupWriter | undefined> {
  const { config, signal } = run;
  if (run.isPart === true || config.verify === 'content' || instances.length < 2 || !throughHandles) return undefined;
  const small = instances.filter(isSmall);
  if (small.length === 0) return undefined;
  const place = placeOf(config, signal);
  const isLocal = await folders.within('.', ({ base }) =>
    place.act('Reading the type of the file system', () => isLocalFolder(`${base}/.`)),
  );
  if (!isLocal) return undefined;
  const thread = await writeThreads.acquire(config.path, small.length >= worthThread, signal);
  if (!thread) return undefined;
  const largest = small.reduce((most, { sizeBytes }) => Math.max(most, sizeBytes), 0);
  return new GroupWriter(place, thread, {
    count: Math.min(lanes, maxGroupFiles, instances.length),
    bytes: run.sizes === 'estimated' ? maxGroupFileBytes : Math.ceil(largest / pageBytes) * pageBytes,
  });
}

async function writeMarker(
  run: Run,
  folders: Folders,
  places: Places,
  quarantined: readonly ManifestInstance[],
): Promise<void> {
  const marker = studyMarker(run, run.config.marker, quarantined, places.pathOf);
  if (!marker) return;
  const { path, shownPath, content, mayReplace } = marker;
  await writeFile(placeOf(run.config, run.signal), folders, run.deliveryId, {
    path,
    body: [content],
    sizeBytes: content.length,
    mayReplace,
    conflict: (occupant) => targetConflict(run.config.path, shownPath, occupant),
  });
}
