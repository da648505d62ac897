import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { connect, UID, type Association } from 'dicom-dimse';
import { findDataSets } from 'dicom-dimse/dataset';
import type { DeliveryRun, ManifestInstance } from '../../contract/index.ts';
import { listedBy, until } from '../../flow/index.ts';
import { queryOptions } from '../connect-options.ts';
import { dicomError } from '../errors.ts';
import { littleEndian } from '../little-endian.ts';
import type { AnyDicomTarget } from '../schema.ts';

const pauseMs = 500;

/**
 * C-FIND at IMAGE level, one for each series (PS3.4 section C.4.1), compared with what was delivered. A receiver may list
 * an instance a little later than it confirms it: what is missing is asked for again for a while.
 *
 * @throws DispatchError `verify-missing` after taking the confirmations of what is missing back
 */
export async function verifyByFind(
  run: DeliveryRun<AnyDicomTarget>,
  instances: readonly ManifestInstance[],
): Promise<void> {
  const { config, signal } = run;
  const deadline = Date.now() + config.verifyWait;
  const contexts = [{ abstractSyntax: UID.studyRootFind, transferSyntaxes: littleEndian }];
  const association = await connect(await queryOptions(config, contexts, signal)).catch((error: unknown) => {
    throw dicomError(error, 'verify');
  });
  try {
    if (association.acceptedContexts.length === 0) throw noQueries();
    let missing = await until(missingOf(run, association, instances, { fresh: false }), signal);
    while (missing.length > 0 && Date.now() < deadline) {
      await until(sleep(pauseMs), signal);
      missing = await until(missingOf(run, association, missing, { fresh: true }), signal);
    }
    if (missing.length === 0) return;
    for (const instance of missing) await run.revoke(instance);
    throw new DispatchError(
      'verify-missing',
      `the receiver confirmed ${instances.length} instances, but does not list ${missing.length} of them`,
      { stage: 'verify' },
    );
  } catch (error) {
    association.abort();
    throw dicomError(error, 'verify');
  } finally {
    await association.release();
  }
}

async function missingOf(
  run: DeliveryRun<AnyDicomTarget>,
  association: Association,
  instances: readonly ManifestInstance[],
  options: { readonly fresh: boolean },
): Promise<ManifestInstance[]> {
  const missing: ManifestInstance[] = [];
  for (const [seriesInstanceUid, series] of Map.groupBy(instances, (one) => one.seriesInstanceUid)) {
    const part = { studyInstanceUid: series[0]?.studyInstanceUid ?? '', seriesInstanceUid };
    const listed = await listedBy(run, part, () => listSeries(association, part, run.signal), options);
    missing.push(...series.filter(({ sopInstanceUid }) => !listed.has(sopInstanceUid)));
  }
  return missing;
}

async function listSeries(
  association: Association,
  { studyInstanceUid, seriesInstanceUid }: { studyInstanceUid: string; seriesInstanceUid: string },
  signal: AbortSignal,
): Promise<Set<string>> {
  const query = {
    QueryRetrieveLevel: 'IMAGE',
    StudyInstanceUID: studyInstanceUid,
    SeriesInstanceUID: seriesInstanceUid,
    SOPInstanceUID: '',
  };
  const listed = new Set<string>();
  for await (const match of findDataSets(association, { sopClassUid: UID.studyRootFind, query, signal })) {
    listed.add(String(match['SOPInstanceUID']));
  }
  return listed;
}

function noQueries(): DispatchError {
  return new DispatchError('target-misconfigured', 'the receiver does not answer C-FIND (Study Root)', {
    stage: 'verify',
    remedy:
      'Allow our AE title to query at the receiver, name the place that answers queries (query), or verify: none.',
  });
}
