import { DispatchError } from '@dicom-dispatch/core';
import type { Association } from 'dicom-dimse';
import { contractVersion, type DeliveryRun, type ManifestInstance, type TargetHandler } from '../contract/index.ts';
import { inLanes, throwIfCancelled } from '../flow/index.ts';
import { AssociationPool } from './association-pool.ts';
import { connectOptions } from './connect-options.ts';
import { dicomError } from './errors.ts';
import { groupByContexts, type ContextGroup } from './presentation-contexts.ts';
import { dicomTarget, dicomTlsTarget, type AnyDicomTarget, type DicomTarget, type DicomTlsTarget } from './schema.ts';
import { storeOutcome } from './store-outcome.ts';
import { Suspects } from './suspects.ts';
import { testDicom } from './test-connection.ts';

export const dicomHandler: TargetHandler<DicomTarget> = {
  contractVersion,
  type: 'dicom',
  schema: dicomTarget,
  deliver,
  testConnection: testDicom,
};

export const dicomTlsHandler: TargetHandler<DicomTlsTarget> = {
  contractVersion,
  type: 'dicom-tls',
  schema: dicomTlsTarget,
  deliver,
  testConnection: testDicom,
};

/**
 * Two instances are on their way on each association: the second is ready to go when the response to the first begins,
 * which is what the early byte needs.
 */
const instancesPerAssociation = 2;
/** Large instances are sent on at most so many associations: more only drive the receiver's memory up. */
const associationsForLarge = 2;
const largeBytes = 64_000_000;

/** Sends each pending instance by C-STORE, over several associations; never parses a dataset. */
async function deliver(run: DeliveryRun<AnyDicomTarget>): Promise<void> {
  throwIfCancelled(run.signal);
  run.stage('connect');
  const { groups, unknown } = groupByContexts(run.pending);
  const suspects = await Suspects.load(run);
  let isConnected = false;
  for (const group of groups) {
    const pool = await AssociationPool.open(await connectOptions(run.config, group.contexts, run.signal));
    let isDone = false;
    try {
      if (!isConnected) run.stage('transfer');
      isConnected = true;
      await sendGroup(run, group, pool, suspects);
      isDone = true;
    } finally {
      await pool.close(!isDone);
    }
  }
  if (!isConnected) run.stage('transfer');
  for (const instance of unknown) {
    const error = new DispatchError(
      'instance-unsupported',
      'the source knows neither SOP class nor transfer syntax of the instance',
    );
    await run.report(instance, { kind: 'quarantined', error });
  }
  run.stage('verify');
  run.stage('finalize');
}

async function sendGroup(
  run: DeliveryRun<AnyDicomTarget>,
  group: ContextGroup,
  pool: AssociationPool,
  suspects: Suspects,
): Promise<void> {
  const isLarge = group.instances.some(({ sizeBytes }) => sizeBytes > largeBytes);
  const associations = Math.min(isLarge ? associationsForLarge : run.config.associations, group.instances.length);
  await inLanes(
    run,
    {
      lanes: associations * instancesPerAssociation,
      prefetch: isLarge ? 0 : associations,
      instances: suspects.last(group.instances),
    },
    async ({ instance, bytes }, { lane, signal }) => {
      const association = await pool.get(lane % associations);
      checkAccepted(association, instance);
      try {
        return storeOutcome(
          await association.store(bytes.body, { signal, priority: priorityOf(run), ...known(instance) }),
        );
      } catch (thrown) {
        throw await suspects.judge(instance, bytes.readError ?? dicomError(thrown));
      }
    },
  );
}

function checkAccepted(association: Association, instance: ManifestInstance): void {
  const { sopClassUid = '', transferSyntaxUid = '' } = instance;
  if (association.hasEnded || association.canStore(sopClassUid, transferSyntaxUid)) return;
  throw new DispatchError(
    'instance-unsupported',
    `the receiver does not accept SOP class ${sopClassUid} with transfer syntax ${transferSyntaxUid}`,
  );
}

function known(instance: ManifestInstance): { sopClassUid?: string; sopInstanceUid: string } {
  return {
    sopInstanceUid: instance.sopInstanceUid,
    ...(instance.sopClassUid !== undefined && { sopClassUid: instance.sopClassUid }),
  };
}

function priorityOf(run: DeliveryRun<AnyDicomTarget>): 'high' | 'medium' | 'low' {
  if (run.priority === 'stat' || run.priority === 'urgent') return 'high';
  return run.priority === 'background' ? 'low' : 'medium';
}
