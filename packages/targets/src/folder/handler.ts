import { basename, dirname, join } from 'node:path';
import { contractVersion, type DeliveryRun, type ManifestInstance, type TargetHandler } from '../contract/index.ts';
import { borrowed, inLanes, throwIfCancelled, type LaneResult } from '../flow/index.ts';
import { studyMarker } from '../marker/index.ts';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import { Folders } from './folders.ts';
import { lookAtFolder, lookForSpace, placeOf, type Place } from './place.ts';
import { folderTarget, type FolderTarget } from './schema.ts';
import { lookIntoFolder } from './left-overs.ts';
import { testFolder } from './test-connection.ts';
import { writeFile } from './write-file.ts';

export const folderHandler: TargetHandler<FolderTarget> = {
  contractVersion,
  type: 'folder',
  schema: folderTarget,
  deliver,
  testConnection: testFolder,
};

/** Writes each pending instance as a file of its own; it is on disk, verified and under its final name when reported. */
async function deliver(run: DeliveryRun<FolderTarget>): Promise<void> {
  const { config, signal } = run;
  throwIfCancelled(signal);
  const place = placeOf(config, signal);
  const folders = new Folders(place);
  const layout = parseTemplate(config.layout === 'flat' ? '{SOPInstanceUID}.dcm' : config.layout);
  const pathOf = (instance: ManifestInstance): string => renderTemplate(layout, run.study, instance);

  run.stage('connect');
  await lookAtFolder(place);
  await lookForSpace(
    place,
    run.pending.reduce((total, { sizeBytes }) => total + sizeBytes, 0),
  );

  run.stage('transfer');
  const taken = await lookAround(run, place, pathOf);
  const result = await send(run, folders, pathOf, taken);

  // Each file was verified before it got its name: afterwards whoever waits for files may already have taken it.
  run.stage('verify');
  run.stage('finalize');
  const marker = studyMarker(run, config.marker, result.quarantined, pathOf);
  if (!marker) return;
  const { path, content } = marker;
  await writeFile(place, folders, run.deliveryId, { path, body: [content], sizeBytes: content.length });
}

/** Removes what earlier attempts have left. @returns paths that are taken: only these are compared with what comes */
async function lookAround(run: DeliveryRun<FolderTarget>, place: Place, pathOf: PathOf): Promise<ReadonlySet<string>> {
  const folders = Map.groupBy(run.pending.map(pathOf), (path) => dirname(path));
  const taken = new Set<string>();
  let count = 0;
  for (const [folder, paths] of folders) {
    const names = new Set(paths.map((path) => basename(path)));
    const { there, removed } = await lookIntoFolder(place, folder, names, run.deliveryId);
    for (const name of there) taken.add(join(folder, name));
    count += removed;
  }
  if (count > 0) run.log.info('left-over temporary files removed', { count });
  return taken;
}

type PathOf = (instance: ManifestInstance) => string;

function send(
  run: DeliveryRun<FolderTarget>,
  folders: Folders,
  pathOf: PathOf,
  taken: ReadonlySet<string>,
): Promise<LaneResult> {
  return inLanes(run, { lanes: run.config.parallel }, async ({ instance, bytes }, { signal }) => {
    const path = pathOf(instance);
    const file = { path, body: borrowed(bytes), sizeBytes: bytes.sizeBytes, isNew: !taken.has(path) };
    await writeFile(placeOf(run.config, signal), folders, run.deliveryId, file);
    return { kind: 'delivered' };
  });
}
