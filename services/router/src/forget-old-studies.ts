import { setTimeout as sleep } from 'node:timers/promises';
import type { DispatchError } from '@dicom-dispatch/core';
import { forgetStudy, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Logger } from '@dicom-dispatch/runtime';
import { hasStudy, isWell, type OrthancClient } from '@dicom-dispatch/sources';
import { isDamaged } from '@dicom-dispatch/state/records';
import { LeaseLost } from './lease-lost.ts';

/** Number of studies that are checked before a pause, to reduce the load of the source and Redis. */
const batch = 100;
/**
 * A study counts as deleted if it was missing in two checks at this interval: a source that started empty, or was replaced by
 * mistake, can be corrected meanwhile, without a loss of records.
 */
const missingForMs = 7 * 86_400_000;

export interface ForgetDependencies {
  readonly source: string;
  readonly keepMs: number;
  readonly orthanc: OrthancClient;
  readonly operations: Pick<PipelineContext, 'config' | 'redis' | 'records' | 'keys' | 'ledger' | 'sharedUids'>;
  /** Lease on the source: nothing is removed once another router has it. */
  readonly fence: { readonly lockKey: string; readonly token: string };
  readonly pauseMs: number;
  readonly now: () => number;
  readonly forgotten: (studies: number) => void;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

export interface ForgetResult {
  /** Number of studies that are old enough to be removed. */
  readonly studies: number;
  /** How many of these were removed. */
  readonly forgotten: number;
  readonly deliveries: number;
  readonly inSource: number;
}

/**
 * Removes the records of studies that have left the source and have not changed for longer than their retention, the
 * oldest first. The progress is stored in Redis: an interrupted pass continues there.
 *
 * @throws LeaseLost, or DispatchError if the source or Redis cannot be queried
 */
export async function forgetOldStudies(dependencies: ForgetDependencies): Promise<ForgetResult> {
  const { source, operations, fence, signal, log } = dependencies;
  const { redis, records, keys } = operations;
  const before = dependencies.now() - dependencies.keepMs;
  const searched = new Set<string>();
  const result = { studies: 0, forgotten: 0, deliveries: 0, inSource: 0 };
  let place = Number((await redis.hget(keys.forgetting(source), 'place')) ?? 0);
  for (;;) {
    const studies = await records.oldestStudies(source, { from: place, limit: batch, before });
    for (const { orthancStudyId, record } of studies) {
      signal.throwIfAborted();
      const hasGone = isDamaged(record)
        ? leave(orthancStudyId, record)
        : await look({ orthancStudyId, studyInstanceUid: record?.studyInstanceUid });
      result.studies += 1;
      if (!hasGone) place += 1;
    }
    if (studies.length < batch) break;
    await redis.hset(keys.forgetting(source), 'place', place);
    await sleep(dependencies.pauseMs, undefined, { signal });
  }
  await redis.hset(keys.forgetting(source), { place: 0, endedAt: dependencies.now(), ...result });
  log[result.studies > 0 ? 'info' : 'debug']({ source, ...result }, 'checked for studies whose records can be removed');
  return result;

  /** A study with a damaged record is kept: it is unknown whether it may be removed. Reconciliation reports it, too. */
  function leave(orthancStudy: string, { message, remedy }: DispatchError): false {
    log.debug({ source, orthancStudy, reason: message, remedy }, 'a study with a damaged record is not removed');
    return false;
  }

  async function look(study: { orthancStudyId: string; studyInstanceUid: string | undefined }): Promise<boolean> {
    const { orthancStudyId } = study;
    if (await isInSource(study)) {
      await redis.zrem(keys.left(source), orthancStudyId);
      result.inSource += 1;
      return false;
    }
    if (!(await isGoneForGood(orthancStudyId))) return false;
    const { answer, deliveries } = await forgetStudy(
      operations,
      { source, orthancStudyId },
      { before, fence, searched },
    );
    if (answer === 'lost') throw new LeaseLost('another router leads the source');
    if (answer !== 'forgotten' && answer !== 'unknown') return false;
    result.forgotten += 1;
    result.deliveries += deliveries;
    dependencies.forgotten(1);
    return true;
  }

  /** Whether the source has the study. A study that it cannot return although it otherwise responds counts as present. */
  async function isInSource(study: Parameters<typeof hasStudy>[2]): Promise<boolean> {
    try {
      return await hasStudy(dependencies.orthanc, source, study, signal);
    } catch (error) {
      if (signal.aborted || !(await isWell({ orthanc: dependencies.orthanc, signal }))) throw error;
      log.debug({ source, orthancStudy: study.orthancStudyId }, 'the source cannot tell whether it has a study');
      return true;
    }
  }

  async function isGoneForGood(orthancStudyId: string): Promise<boolean> {
    const now = dependencies.now();
    if ((await redis.zadd(keys.left(source), 'NX', now, orthancStudyId)) === 1) return false;
    return now - Number(await redis.zscore(keys.left(source), orthancStudyId)) >= missingForMs;
  }
}
