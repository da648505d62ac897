import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { contractVersion, type DeliveryRun, type ManifestInstance, type TargetHandler } from '../contract/index.ts';
import { throwIfCancelled } from '../flow/index.ts';
import { studyMarker } from '../marker/index.ts';
import { parseTemplate, renderTemplate } from '../template/index.ts';
import { sendBatches } from './batches.ts';
import { runOnComplete } from './on-complete.ts';
import { routeTo } from './route.ts';
import { rsyncTarget, type RsyncTarget } from './schema.ts';
import { testRsync } from './test-connection.ts';
import { lookAtFolder, transferFiles, type Transfer } from './transfer.ts';
import { makeWorkFolder, type WorkFolder } from './work-folder.ts';

export const rsyncHandler: TargetHandler<RsyncTarget> = {
  contractVersion,
  type: 'rsync',
  schema: rsyncTarget,
  deliver,
  testConnection: testRsync,
};

/** Spools the pending instances in batches and has rsync send each; what rsync confirms is reported. */
async function deliver(run: DeliveryRun<RsyncTarget>): Promise<void> {
  const { config, signal } = run;
  throwIfCancelled(signal);
  const layout = parseTemplate(config.layout === 'flat' ? '{SOPInstanceUID}.dcm' : config.layout);
  const pathOf = (instance: ManifestInstance): string => renderTemplate(layout, run.study, instance);

  run.stage('connect');
  const work = await makeWorkFolder(config, run.deliveryId);
  try {
    const transfer: Transfer = { config, signal, route: await routeTo(config, work, signal) };
    await lookAtFolder(transfer);
    run.stage('transfer');
    const quarantined = await sendBatches(run, transfer, join(work.path, 'spool'), pathOf);
    // rsync compares a checksum of each file at its end; the receiver has had the last word on every one.
    run.stage('verify');
    run.stage('finalize');
    await sendMarker(run, transfer, work, quarantined, pathOf);
    const isPartial = quarantined.length + (run.quarantined?.length ?? 0) > 0;
    if (config.onComplete && !isPartial) await runOnComplete(config.onComplete, run.study, signal);
  } finally {
    await work.remove();
  }
}

async function sendMarker(
  run: DeliveryRun<RsyncTarget>,
  transfer: Transfer,
  work: WorkFolder,
  quarantined: readonly ManifestInstance[],
  pathOf: (instance: ManifestInstance) => string,
): Promise<void> {
  const marker = studyMarker(run, run.config.marker, quarantined, pathOf);
  if (!marker) return;
  const folder = join(work.path, 'marker');
  const file = join(folder, marker.path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, marker.content);
  const { error } = await transferFiles(transfer, folder, [marker.path]);
  if (error) throw error;
}
