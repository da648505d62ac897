import type { DispatchError } from '@dicom-dispatch/core';
import { contractVersion, type DeliveryRun, type Kept, type TargetHandler } from '@dicom-dispatch/target-kit';
import { Suspects, throwIfCancelled, verdictOf } from '@dicom-dispatch/target-kit/flow';
import { dicomAbout, dicomTlsAbout } from './about.ts';
import { AssociationPool } from './association-pool.ts';
import { connectOptions } from './connect-options.ts';
import { openDicomInventory } from './inventory.ts';
import { groupByContexts, type ContextGroup } from './presentation-contexts.ts';
import { dicomPuller } from './pull/index.ts';
import { dicomTarget, dicomTlsTarget, type AnyDicomTarget, type DicomTarget, type DicomTlsTarget } from './schema.ts';
import { sendGroup } from './send-group.ts';
import { testDicom } from './test-connection.ts';
import { serveReports, verifyStored } from './verify/index.ts';
import { whyUnnamed } from './why-unnamed.ts';

export const dicomHandler: TargetHandler<DicomTarget> = {
  contractVersion,
  type: 'dicom',
  about: dicomAbout,
  keyedBy: 'sop-instance-uid',
  sendsParts: true,
  schema: dicomTarget,
  deliver,
  testConnection: testDicom,
  serve: serveReports,
  pull: dicomPuller,
  inventory: openDicomInventory,
};

export const dicomTlsHandler: TargetHandler<DicomTlsTarget> = {
  contractVersion,
  type: 'dicom-tls',
  about: dicomTlsAbout,
  keyedBy: 'sop-instance-uid',
  sendsParts: true,
  schema: dicomTlsTarget,
  deliver,
  testConnection: testDicom,
  serve: serveReports,
  pull: dicomPuller,
  inventory: openDicomInventory,
};

/** Sends each pending instance by C-STORE, over several associations. Data sets are parsed only to re-encode them. */
async function deliver(run: DeliveryRun<AnyDicomTarget>): Promise<void> {
  throwIfCancelled(run.signal);
  run.stage('connect');
  const quarantined = new Set(run.quarantined?.map(({ sourceId }) => sourceId));
  const { groups, unproposable } = groupByContexts(run.pending, run.config);
  let putOff: DispatchError | undefined;
  for (const { instance, error: reason } of unproposable) {
    const error = (await whyUnnamed(run, instance)) ?? reason;
    if (verdictOf(error) === 'stop') throw error;
    if (verdictOf(error) === 'later') {
      putOff ??= error;
      continue;
    }
    quarantined.add(instance.sourceId);
    run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: error.code });
    await run.report(instance, { kind: 'quarantined', error });
  }
  const suspects = await Suspects.load(run);
  for (const group of groups) {
    const name = JSON.stringify(group.contexts);
    const pool = takeKept(run, name) ?? (await openPool(run, group));
    let isDone = false;
    try {
      run.stage('transfer');
      const sent = await sendGroup(run, group, pool, suspects);
      for (const instance of sent.quarantined) quarantined.add(instance.sourceId);
      // Some instances failed for now; the other groups are still sent.
      putOff ??= sent.putOff;
      isDone = true;
    } finally {
      if (isDone && run.kept) run.kept.set(name, new KeptPool(pool));
      else await pool.close(!isDone);
    }
  }
  if (putOff !== undefined) throw suspects.verdict(putOff);
  if (run.isPart) return;
  run.stage('verify');
  await verifyStored(
    run,
    run.manifest.filter(({ sourceId }) => !quarantined.has(sourceId)),
  );
  run.stage('finalize');
}

async function openPool(run: DeliveryRun<AnyDicomTarget>, { contexts }: ContextGroup): Promise<AssociationPool> {
  return AssociationPool.open(await connectOptions(run.config, contexts, run.signal), run.log);
}

/** Associations that are kept open for the next part of a study that is still being received. */
class KeptPool implements Kept {
  readonly pool: AssociationPool;

  constructor(pool: AssociationPool) {
    this.pool = pool;
  }

  close(): Promise<void> {
    return this.pool.close(false);
  }
}

function takeKept({ kept }: DeliveryRun<AnyDicomTarget>, name: string): AssociationPool | undefined {
  const found = kept?.get(name);
  kept?.delete(name);
  return found instanceof KeptPool ? found.pool : undefined;
}
