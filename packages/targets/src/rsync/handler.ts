import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { placesOf, targetConflict, type Places } from '../conflict/index.ts';
import {
  contractVersion,
  type DeliveryRun,
  type ManifestInstance,
  type TargetHandler,
} from '@dicom-dispatch/target-kit';
import { PathClaims, throwIfCancelled } from '@dicom-dispatch/target-kit/flow';
import { studyMarker } from '../marker/index.ts';
import { rsyncAbout } from './about.ts';
import { sendBatches } from './batches.ts';
import type { Claim } from './judge-files.ts';
import { openRsyncInventory } from './inventory.ts';
import { removeFiles } from './left-overs.ts';
import { lookAtFolder } from './look-at-folder.ts';
import { checkRemoteFolder } from './mark.ts';
import { runOnComplete } from './on-complete.ts';
import { routeTo } from './route.ts';
import { rsyncTarget, type RsyncTarget } from './schema.ts';
import { sendFiles } from './send-files.ts';
import { testRsync } from './test-connection.ts';
import type { Transfer } from './transfer.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

export const rsyncHandler: TargetHandler<RsyncTarget> = {
  contractVersion,
  type: 'rsync',
  about: rsyncAbout,
  schema: rsyncTarget,
  deliver,
  testConnection: testRsync,
  inventory: openRsyncInventory,
};

/** Paths on servers: rsync has no atomic way to check whether a path is free. */
const claims = new PathClaims();

/** Spools the pending instances in batches and has rsync send each; what rsync confirms is reported. */
async function deliver(run: DeliveryRun<RsyncTarget>): Promise<void> {
  const { config, signal } = run;
  throwIfCancelled(signal);
  run.stage('connect');
  const work = await makeWorkFolder(config, run.deliveryId);
  try {
    if (config.via.type === 'ssh' && config.via.algorithms === 'old') {
      run.log.warn('the connection may use insecure algorithms', { host: config.host });
    }
    const transfer: Transfer = { config, signal, route: await routeTo(config, work, signal) };
    const places = placesOf(run, config.host, config.layout);
    const paths = run.pending.map(places.pathOf);
    // Also beside instances that have already arrived: a failed attempt removes no leftovers.
    const leftOvers = await lookAtFolder(transfer, work, run.manifest.map(places.pathOf));
    if (config.rememberPlace) await checkRemoteFolder(transfer, work, run.memory, 'set up');
    run.stage('transfer');
    const place = `${config.host} ${JSON.stringify([config.via.type, config.via.port, config.path])}`;
    using _ = await claims.take(
      [...new Set(paths)].map((path) => `${place} ${path}`),
      signal,
    );
    const { instances, quarantined: shared } = await places.divide();
    const sent = await sendBatches(run, transfer, work, instances, places);
    const quarantined = [...shared, ...sent];
    if (leftOvers.length > 0) await removeLeftOvers(run, transfer, work, leftOvers);
    // The receiving rsync has compared a checksum of each file at its end.
    run.stage('verify');
    run.stage('finalize');
    await sendMarker(run, transfer, work, quarantined, places);
    const isPartial = quarantined.length + (run.quarantined?.length ?? 0) > 0;
    if (config.onComplete && !isPartial) await runOnComplete(config.onComplete, run.study, signal);
  } finally {
    await work.remove();
  }
}

/** Removes files that a killed rsync has left on the server. */
async function removeLeftOvers(
  run: DeliveryRun<RsyncTarget>,
  transfer: Transfer,
  work: WorkFolder,
  paths: readonly string[],
): Promise<void> {
  if (await removeFiles(transfer, work, paths)) {
    run.log.info('leftover temporary files removed', { count: paths.length });
  } else {
    run.log.warn('leftover temporary files could not be removed', { count: paths.length });
  }
}

async function sendMarker(
  run: DeliveryRun<RsyncTarget>,
  transfer: Transfer,
  work: WorkFolder,
  quarantined: readonly ManifestInstance[],
  places: Places,
): Promise<void> {
  const marker = studyMarker(run, run.config.marker, quarantined, places.pathOf);
  if (!marker) return;
  const folder = join(work.path, 'marker');
  const file = join(folder, marker.path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, marker.content);
  const claim: Claim = {
    mayReplace: marker.mayReplace,
    conflict: (occupant) => targetConflict(run.config.host, marker.shownPath, occupant),
  };
  const { conflicts, error } = await sendFiles(transfer, work, folder, new Map([[marker.path, claim]]));
  const conflict = conflicts.get(marker.path);
  if (error ?? conflict) throw error ?? conflict;
}
