import { compileRules, DispatchError } from '@dicom-dispatch/core';
import { OperationError, readForRouting } from '@dicom-dispatch/pipeline';
import type { ViewContext } from './view-context.ts';
import { labelsOf, withoutIds } from './list-studies.ts';
import type { StudyDetail } from './schemas.ts';
import { showVerdicts } from './show-verdicts.ts';
import { toDeliveryDetail } from './to-delivery.ts';

/**
 * All that is known of one study.
 *
 * @throws OperationError `not-found` when it was never routed and is not in the source
 */
export async function showStudy(context: ViewContext, source: string, studyInstanceUid: string): Promise<StudyDetail> {
  const key = { source, studyInstanceUid };
  const record = await context.operations.records.study(key);
  const inSource = record ?? (await findInSource(context, source, studyInstanceUid));
  if (!inSource) {
    throw new OperationError(
      'not-found',
      `there is no study ${studyInstanceUid} from ${source}, or it was forgotten since it left (records.keep)`,
    );
  }
  const [deliveries, labels, now] = await Promise.all([
    context.operations.records.deliveriesOf(key),
    labelsOf(context, [{ ...key, orthancStudyId: inSource.orthancStudyId }]),
    rulesNow(context, source, inSource.orthancStudyId),
  ]);
  const label = labels.get(`${source} ${studyInstanceUid}`);
  return {
    source,
    studyInstanceUid,
    orthancStudyId: inSource.orthancStudyId,
    routed: record !== undefined,
    ...(record && { instanceCount: record.instanceCount, routedAt: record.routedAt }),
    modalities: [...(record?.modalities ?? [])],
    rules: [...(record?.rules ?? [])],
    omitted: [...(record?.omitted ?? [])],
    ...(label && { label: withoutIds(label) }),
    deliveries: await Promise.all(deliveries.map((delivery) => toDeliveryDetail(context.operations, delivery))),
    ...now,
  };
}

async function findInSource(context: ViewContext, source: string, uid: string) {
  const { found } = await context.lookup.search(uid);
  return found.find((one) => one.source === source && one.studyInstanceUid === uid);
}

/** What the rules of now say about the study as it is in the source now. */
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
