import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { connect, UID, type Association } from 'dicom-dimse';
import type { DataSet } from 'dicom-dimse/dataset';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { until } from '@dicom-dispatch/target-kit/flow';
import { queryOptions } from '../connect-options.ts';
import { dicomError } from '../errors.ts';
import { littleEndian } from '../little-endian.ts';
import { findMatches } from '../pull/find-matches.ts';
import { textOf } from '../pull/texts.ts';
import type { AnyDicomTarget } from '../schema.ts';

const pauseMs = 500;
/** UIDs in one identifier (List of UID Matching, PS3.4 section C.2.2.2.2). */
const uidsPerQuery = 50;

/**
 * C-FIND at IMAGE level, one for each series (PS3.4 section C.4.1), compared with the delivered instances. A receiver may list an
 * instance some time after it has confirmed it: missing ones are queried again for up to `verifyTimeout`. A list may also be truncated:
 * a confirmation is removed only after a query for exactly this instance that does not find it.
 *
 * @throws DispatchError `verify-missing` after removing the confirmations of missing instances, `verify-pending` if the receiver
 *   truncates its responses, so that the result is unknown
 */
export async function verifyByFind(
  run: DeliveryRun<AnyDicomTarget>,
  instances: readonly ManifestInstance[],
): Promise<void> {
  const { config, signal } = run;
  const deadline = performance.now() + config.verifyTimeout;
  const contexts = [{ abstractSyntax: UID.studyRootFind, transferSyntaxes: littleEndian }];
  const association = await connect(await queryOptions(config, contexts, signal)).catch((error: unknown) => {
    throw dicomError(error, 'verify');
  });
  try {
    if (association.acceptedContexts.length === 0) throw noQueries();
    let missing = await until(notListed(run, association, instances, { fresh: false }), signal);
    missing = await until(notFound(association, missing, signal), signal);
    while (missing.length > 0 && performance.now() < deadline) {
      await until(sleep(pauseMs), signal);
      missing = await until(notFound(association, missing, signal), signal);
    }
    const { lacking, unreported } = await until(oneByOne(association, missing, signal), signal);
    for (const instance of lacking) await run.revoke(instance);
    if (lacking.length > 0) {
      throw new DispatchError(
        'verify-missing',
        `the receiver confirmed ${instances.length} instances, but does not list ${lacking.length} of them`,
        { stage: 'verify' },
      );
    }
    if (unreported.length > 0) {
      throw new DispatchError(
        'verify-pending',
        `the receiver truncates its responses, and does not report whether it has ${unreported.length} of ${instances.length} instances`,
        { stage: 'verify', remedy: 'Raise the limit of C-FIND responses at the receiver.' },
      );
    }
  } catch (error) {
    association.abort();
    throw dicomError(error, 'verify');
  } finally {
    await association.release();
  }
}

type ListedName = Pick<ManifestInstance, 'studyInstanceUid' | 'seriesInstanceUid' | 'sopInstanceUid'>;

/** Instances missing in the lists of their series. */
async function notListed(
  run: DeliveryRun<AnyDicomTarget>,
  association: Association,
  instances: readonly ManifestInstance[],
  options: { readonly fresh: boolean },
): Promise<ManifestInstance[]> {
  const missing: ManifestInstance[] = [];
  for (const [seriesInstanceUid, series] of Map.groupBy(instances, (one) => one.seriesInstanceUid)) {
    const part = { studyInstanceUid: series[0]?.studyInstanceUid ?? '', seriesInstanceUid };
    const ask = async (): Promise<ReadonlySet<string>> => (await listedUids(association, part, '', run.signal)).listed;
    const listed = await (run.listed?.(part, ask, options) ?? ask());
    missing.push(...series.filter(({ sopInstanceUid }) => !listed.has(sopInstanceUid)));
  }
  return missing;
}

/** Instances that a query by UIDs does not find. */
async function notFound(
  association: Association,
  instances: readonly ManifestInstance[],
  signal: AbortSignal,
): Promise<ManifestInstance[]> {
  const missing: ManifestInstance[] = [];
  for (const [seriesInstanceUid, series] of Map.groupBy(instances, (one) => one.seriesInstanceUid)) {
    for (let at = 0; at < series.length; at += uidsPerQuery) {
      const some = series.slice(at, at + uidsPerQuery);
      const part = { studyInstanceUid: series[0]?.studyInstanceUid ?? '', seriesInstanceUid };
      const uids = some.map(({ sopInstanceUid }) => sopInstanceUid);
      const { listed } = await listedUids(association, part, uids, signal);
      missing.push(...some.filter(({ sopInstanceUid }) => !listed.has(sopInstanceUid)));
    }
  }
  return missing;
}

/** Queries each instance alone. @returns those that the receiver lacks, and those without a result */
export async function oneByOne<T extends ListedName>(
  association: Association,
  instances: readonly T[],
  signal: AbortSignal,
  pace?: () => Promise<void>,
) {
  const lacking: T[] = [];
  const unreported: T[] = [];
  for (const instance of instances) {
    await pace?.();
    const { listed, isCut } = await listedUids(association, instance, instance.sopInstanceUid, signal);
    if (listed.has(instance.sopInstanceUid)) continue;
    if (isCut) unreported.push(instance);
    else lacking.push(instance);
  }
  return { lacking, unreported };
}

export async function listedUids(
  association: Association,
  { studyInstanceUid, seriesInstanceUid }: { readonly studyInstanceUid: string; readonly seriesInstanceUid: string },
  sopInstanceUids: string | readonly string[],
  signal: AbortSignal,
): Promise<{ readonly listed: Set<string>; readonly isCut: boolean }> {
  const query = {
    QueryRetrieveLevel: 'IMAGE',
    StudyInstanceUID: studyInstanceUid,
    SeriesInstanceUID: seriesInstanceUid,
    SOPInstanceUID: sopInstanceUids,
  };
  const { found, cut } = await findMatches(association, query, signal, 'verify');
  // A receiver may ignore a key: a match in another study or series is another instance.
  const isElsewhere = (match: DataSet): boolean =>
    isOther(match['StudyInstanceUID'], studyInstanceUid) || isOther(match['SeriesInstanceUID'], seriesInstanceUid);
  const listed = new Set(found.flatMap((match) => (isElsewhere(match) ? [] : (textOf(match['SOPInstanceUID']) ?? []))));
  return { listed, isCut: cut !== undefined };
}

function isOther(value: unknown, uid: string): boolean {
  const text = textOf(value) ?? '';
  return text !== '' && text !== uid;
}

export function noQueries(): DispatchError {
  return new DispatchError('target-misconfigured', 'the receiver does not support C-FIND (Study Root)', {
    stage: 'verify',
    remedy:
      'Allow the calling AE title to query at the receiver, set query to the address that supports queries, or set verify: none.',
  });
}
