import { contractVersion, type DeliveryRun, type ManifestInstance, type TargetHandler } from '../contract/index.ts';
import { Suspects } from '../flow/index.ts';
import { HttpConnection } from '../http/index.ts';
import { notListed, someFailed } from './errors.ts';
import { greet, type SearchAbility } from './greet.ts';
import { dicomwebPuller } from './pull.ts';
import { dicomwebTarget, type DicomwebTarget } from './schema.ts';
import { sendBatches } from './send-batches.ts';
import { settleUnknown, withoutArrived } from './settle-unknown.ts';
import { testDicomweb } from './test-connection.ts';
import { listForRun, missingAfterWait } from './verify-listed.ts';

export const dicomwebHandler: TargetHandler<DicomwebTarget> = {
  contractVersion,
  type: 'dicomweb',
  schema: dicomwebTarget,
  deliver,
  testConnection: testDicomweb,
  pull: dicomwebPuller,
};

async function deliver(run: DeliveryRun<DicomwebTarget>): Promise<void> {
  const { config, signal } = run;
  run.stage('connect');
  const http = await HttpConnection.open(config, { connections: config.requests });
  try {
    const search = await greet(http, config, run.study.studyInstanceUid, signal);
    run.stage('transfer');
    const pending = await withoutArrived(run, http, search);
    const quarantined = await send(run, http, search, pending);
    run.stage('verify');
    if (config.verify === 'qido') await verify(run, http, quarantined);
  } finally {
    await http.close();
  }
}

/** @returns what was quarantined now */
async function send(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  search: SearchAbility,
  pending: readonly ManifestInstance[],
): Promise<ReadonlySet<ManifestInstance>> {
  const suspects = await Suspects.load(run);
  try {
    const sent = await sendBatches(run, http, pending, suspects);
    const { failed, quarantined } = await settleUnknown(run, http, { search, suspects, ...sent });
    if (failed) throw someFailed(failed);
    return new Set([...sent.quarantined, ...quarantined]);
  } catch (thrown) {
    throw suspects.verdict(thrown);
  }
}

/** Lists the study and takes back what the target confirmed and does not have. */
async function verify(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  quarantinedNow: ReadonlySet<ManifestInstance>,
): Promise<void> {
  const { config, signal } = run;
  const earlier = new Set((run.quarantined ?? []).map(({ sopInstanceUid }) => sopInstanceUid));
  const wanted = run.manifest.filter((one) => !quarantinedNow.has(one) && !earlier.has(one.sopInstanceUid));
  const missing = await missingAfterWait(
    (options) => listForRun(run, http, options),
    wanted,
    config.verifyTimeout,
    signal,
  );
  for (const instance of missing) await run.revoke(instance);
  if (missing.length > 0) throw notListed(missing.length);
}
