import { DispatchError } from '@dicom-dispatch/core';
import { isDamaged, type ForgetAnswer, type StudyRecord } from '@dicom-dispatch/state/records';
import { hasStudy, type OrthancClient } from '@dicom-dispatch/sources';
import type { PipelineContext } from '@dicom-dispatch/pipeline';
import { forgetStudy } from '@dicom-dispatch/pipeline';
import { OperationError } from '@dicom-dispatch/pipeline';

/** Filter for studies to be removed. */
export interface ForgetWish {
  /** Only those of this source; a source that is no longer configured must be named. */
  readonly source?: string | undefined;
  /** Only these: Study Instance UIDs (all studies that have it) or Orthanc's ids. */
  readonly studies?: readonly string[] | undefined;
  /** Only those without changes since this time (ms since 1970). */
  readonly until?: number | undefined;
  /** Also those with deliveries that have failed. */
  readonly failed?: boolean | undefined;
}

export interface ForgetOutcome {
  /** Number of checked studies. */
  readonly studies: number;
  /** Number of studies that were removed, or would be. */
  readonly forgotten: number;
  readonly deliveries: number;
  /** Estimated memory in Redis; 0 unless it is a dry run. */
  readonly bytes: number;
  /** Number of kept studies, by reason. */
  readonly kept: Readonly<Partial<Record<ForgetAnswer | 'in-source', number>>>;
  /** Keys of the first 20 damaged records, for which studies were kept. */
  readonly damaged: readonly string[];
}

const batch = 100;
/** Number of measured studies; the others are estimated from them. */
const maxMeasured = 50;
const maxNamed = 20;

/**
 * Removes studies at the request of an operator: independent of their retention, and also if their source was
 * removed from the configuration. Studies that the source still has are kept: they would be routed and sent once more.
 *
 * @param client - of a configured source
 * @param dryRun - only a preview
 * @throws OperationError `not-found` if a named study is unknown, after the others were removed; DispatchError if a source
 *   cannot be queried
 */
export async function forgetStudies(
  context: Pick<PipelineContext, 'config' | 'redis' | 'records' | 'keys' | 'ledger' | 'sharedUids'>,
  wish: ForgetWish,
  client: (source: string) => Promise<OrthancClient>,
  dryRun: boolean,
): Promise<ForgetOutcome> {
  const { records } = context;
  const { sources } = context.config();
  const before = wish.until ?? Number.MAX_SAFE_INTEGER;
  const kept: Partial<Record<ForgetAnswer | 'in-source', number>> = {};
  const sum = { studies: 0, forgotten: 0, deliveries: 0 };
  const measured = { studies: 0, bytes: 0 };
  const named = new Set<string>();
  const damaged: string[] = [];
  const searched = new Set<string>();
  for (const source of wish.source === undefined ? Object.keys(sources) : [wish.source]) {
    if (wish.studies) await lookAtNamed(source, wish.studies);
    else await lookAtAll(source);
  }
  if (wish.studies?.some((id) => !named.has(id))) {
    throw new OperationError('not-found', 'a named study is unknown, or its records were already removed');
  }
  const each = measured.studies === 0 ? 0 : measured.bytes / measured.studies;
  return { ...sum, bytes: Math.round(each * sum.forgotten), kept, damaged };

  async function lookAtNamed(source: string, ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      const [byId] = await records.studiesById(source, [id]);
      if (isDamaged(byId)) throw byId;
      for (const record of byId ? [byId] : await records.studiesOfUid(id, source)) {
        named.add(id);
        await look(source, record.orthancStudyId, record);
      }
    }
  }

  async function lookAtAll(source: string): Promise<void> {
    for (let from = 0; ;) {
      const found = await records.oldestStudies(source, { from, limit: batch, before });
      for (const { orthancStudyId, record } of found) {
        if (!(await look(source, orthancStudyId, record)) || dryRun) from += 1;
      }
      if (found.length < batch) return;
    }
  }

  /** @returns whether the study was removed, or would be */
  async function look(
    source: string,
    orthancStudyId: string,
    record: StudyRecord | DispatchError | undefined,
  ): Promise<boolean> {
    sum.studies += 1;
    if (record instanceof DispatchError) return keep('damaged', context.keys.study(source, orthancStudyId));
    const studyInstanceUid = record?.studyInstanceUid;
    if (sources[source] && (await hasStudy(await client(source), source, { orthancStudyId, studyInstanceUid }))) {
      return keep('in-source');
    }
    const {
      answer,
      deliveries,
      bytes,
      damaged: key,
    } = await forgetStudy(
      context,
      { source, orthancStudyId },
      {
        before,
        searched,
        withFailed: wish.failed === true,
        dryRun: dryRun && (measured.studies < maxMeasured ? 'measured' : true),
      },
    );
    if (answer !== 'forgotten' && answer !== 'unknown') return keep(answer, key);
    sum.forgotten += 1;
    sum.deliveries += deliveries;
    if (dryRun && measured.studies < maxMeasured) {
      measured.studies += 1;
      measured.bytes += bytes;
    }
    return true;
  }

  function keep(why: ForgetAnswer | 'in-source', key?: string): false {
    if (key !== undefined && damaged.length < maxNamed) damaged.push(key);
    kept[why] = (kept[why] ?? 0) + 1;
    return false;
  }
}
