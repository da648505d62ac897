import { compileRules, DispatchError, type OnSuccessConfig } from '@dicom-dispatch/core';
import { readAfterSuccess } from '@dicom-dispatch/operations';
import { OperationError, readForRouting } from '@dicom-dispatch/pipeline';
import type { StudyRecord } from '@dicom-dispatch/state/records';
import type { TaskRecord } from '@dicom-dispatch/state/tasks';
import { isOrthancId } from '../source/source-lookup.ts';
import { toDeliveryDetail } from './list-deliveries.ts';
import type { AfterSuccess, StudyDetail } from './schemas.ts';
import { showPriors } from './show-priors.ts';
import { showVerdicts } from './dry-run.ts';
import { labelsOf, withoutIds } from './summarize-studies.ts';
import type { ViewContext } from './view-context.ts';

/**
 * All data of one study.
 *
 * @param id - Orthanc id, or the Study Instance UID if only one study of the source has it
 * @throws OperationError `not-found` if it was never routed and is not in the source; `conflict` for a UID of several
 */
export async function showStudy(context: ViewContext, source: string, id: string): Promise<StudyDetail> {
  const record = await findRecord(context, source, id);
  const study = record ?? (await findInSource(context, source, id));
  if (!study) {
    throw new OperationError(
      'not-found',
      `there is no study ${id} from ${source}, or its records were removed after it left the source (records.keep)`,
    );
  }
  const { studyInstanceUid, orthancStudyId } = study;
  const key = { source, orthancStudyId };
  const [deliveries, labels, now, steps, priors] = await Promise.all([
    context.operations.records.deliveriesOf(key),
    labelsOf(context, [key]),
    rulesNow(context, source, orthancStudyId),
    readAfterSuccess(context.operations, key),
    showPriors(context, key),
  ]);
  const label = labels.get(`${source} ${orthancStudyId}`);
  return {
    source,
    studyInstanceUid,
    orthancStudyId,
    routed: record !== undefined,
    ...(record && { instanceCount: record.instanceCount, routedAt: record.routedAt }),
    modalities: [...(record?.modalities ?? [])],
    rules: [...(record?.rules ?? [])],
    omitted: [...(record?.omitted ?? [])],
    pulled: record?.pulled !== undefined && record.pulled !== '',
    ...(label && { label: withoutIds(label) }),
    deliveries: await Promise.all(deliveries.map((delivery) => toDeliveryDetail(context.operations, delivery))),
    ...now,
    afterSuccess: steps.map(toAfterSuccess),
    priors,
  };
}

/** @throws OperationError `conflict` if several studies of the source have the UID */
export async function findRecord(context: ViewContext, source: string, id: string): Promise<StudyRecord | undefined> {
  const { records } = context.operations;
  return (
    (await records.study({ source, orthancStudyId: id })) ?? oneOf(await records.studiesOfUid(id, source), source, id)
  );
}

async function findInSource(context: ViewContext, source: string, id: string) {
  if (isOrthancId(id)) {
    const orthanc = await context.lookup.client(source);
    const [study] = await orthanc.studies.many([id]).catch(() => []);
    return study && { orthancStudyId: study.ID, studyInstanceUid: study.MainDicomTags['StudyInstanceUID'] ?? '' };
  }
  const { found } = await context.lookup.search(id);
  return oneOf(
    found.filter((one) => one.source === source && one.studyInstanceUid === id),
    source,
    id,
  );
}

function oneOf<T extends { readonly orthancStudyId: string }>(found: readonly T[], source: string, id: string) {
  if (found.length < 2) return found[0];
  const ids = found.map(({ orthancStudyId }) => orthancStudyId).join(', ');
  throw new OperationError(
    'conflict',
    `${found.length} studies of ${source} have the UID ${id}. Use an Orthanc id: ${ids}`,
  );
}

/** Result of the current rules for the current study in the source. */
export async function rulesNow(
  context: ViewContext,
  source: string,
  orthancStudyId: string,
): Promise<Pick<StudyDetail, 'verdicts' | 'inSource'>> {
  try {
    const orthanc = await context.lookup.client(source);
    const config = context.config();
    const rules = compileRules(config.rules, config);
    const signal = AbortSignal.timeout(3_000);
    const { study } = await readForRouting(orthanc, config, rules, { source, orthancStudyId }, { signal });
    return { verdicts: showVerdicts(rules, study.facts, context.lookup.showsPatientData), inSource: 'yes' };
  } catch (error) {
    const isGone = error instanceof DispatchError && error.code === 'source-gone';
    return { verdicts: [], inSource: isGone ? 'no' : 'unknown' };
  }
}

/** A step after success as the console shows it. */
export function toAfterSuccess({ data, state, attempts, nextAttemptAt, error, done, left }: TaskRecord): AfterSuccess {
  return {
    state,
    wanted: data.onSuccess ? wordsOf(data.onSuccess) : [],
    attempts,
    ...(nextAttemptAt !== undefined && { nextAttemptAt }),
    ...(error && { error }),
    done: [...done],
    left: [...left],
  };
}

function wordsOf({ labels, metadata, unprotect, delete: deletes }: OnSuccessConfig): string[] {
  return [
    ...labels.map((label) => `add the label ${label}`),
    ...Object.keys(metadata).map((name) => `set the metadata ${name}`),
    ...(unprotect ? ['remove the protection of the patient'] : []),
    ...(deletes ? ['delete the delivered instances'] : []),
  ];
}
