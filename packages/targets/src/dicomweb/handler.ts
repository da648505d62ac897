import {
  contractVersion,
  type DeliveryRun,
  type ManifestInstance,
  type TargetHandler,
} from '@dicom-dispatch/target-kit';
import { Suspects } from '@dicom-dispatch/target-kit/flow';
import { HttpConnection } from '../http/index.ts';
import { dicomwebAbout } from './about.ts';
import { cannotVerify, notListed, someFailed } from './errors.ts';
import { openDicomwebInventory } from './inventory.ts';
import { dicomwebPuller } from './pull.ts';
import { dicomwebTarget, type DicomwebTarget } from './schema.ts';
import { sendBatches } from './send-batches.ts';
import { absentBefore, settleUnknown, withoutArrived } from './settle-unknown.ts';
import { StudySearch } from './study-search.ts';
import { testDicomweb } from './test-connection.ts';

export const dicomwebHandler: TargetHandler<DicomwebTarget> = {
  contractVersion,
  type: 'dicomweb',
  about: dicomwebAbout,
  keyedBy: 'sop-instance-uid',
  sendsParts: true,
  schema: dicomwebTarget,
  deliver,
  testConnection: testDicomweb,
  pull: dicomwebPuller,
  inventory: openDicomwebInventory,
};

async function deliver(run: DeliveryRun<DicomwebTarget>): Promise<void> {
  const { config } = run;
  run.stage('connect');
  const http = await HttpConnection.open(config, { connections: config.maxParallel });
  try {
    // A part contains only some instances of the study: whether the target had the others is unknown.
    const absent = run.isPart ? undefined : await absentBefore(run);
    const search = await StudySearch.open(run, http, absent);
    run.stage('transfer');
    const pending = await withoutArrived(run, search);
    const quarantined = await send(run, http, search, pending);
    if (run.isPart) return;
    run.stage('verify');
    if (config.verify === 'qido') await verify(run, search, quarantined);
  } finally {
    await http.close();
  }
}

/** @returns the instances that were quarantined now */
async function send(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  search: StudySearch,
  pending: readonly ManifestInstance[],
): Promise<ReadonlySet<ManifestInstance>> {
  const suspects = await Suspects.load(run);
  try {
    const tally = await sendBatches(run, { http, search, suspects, pending });
    await settleUnknown(run, search, tally);
    if (tally.putOff) throw someFailed(tally.putOff);
    return tally.quarantined;
  } catch (thrown) {
    throw suspects.verdict(thrown);
  }
}

/** Lists the study and removes confirmations of instances that the target does not have. */
async function verify(
  run: DeliveryRun<DicomwebTarget>,
  search: StudySearch,
  quarantinedNow: ReadonlySet<ManifestInstance>,
): Promise<void> {
  const earlier = new Set((run.quarantined ?? []).map(({ sourceId }) => sourceId));
  const wanted = run.manifest.filter((one) => !quarantinedNow.has(one) && !earlier.has(one.sourceId));
  const presence = await search.presenceAfterWait(wanted);
  if (!presence) throw cannotVerify();
  for (const instance of presence.missing) await run.revoke(instance);
  if (presence.missing.length > 0) throw notListed(presence.missing.length);
}
