import { setTimeout as sleep } from 'node:timers/promises';
import { DispatchError } from '@dicom-dispatch/core';
import { OperationError, routeAgain, type PipelineContext, type StudyEnqueuer } from '@dicom-dispatch/pipeline';
import type { Logger } from '@dicom-dispatch/runtime';
import { sourceError } from '@dicom-dispatch/sources';
import { Batches, type Batch, type BatchOutcome } from '@dicom-dispatch/state/batches';
import { MissingOfBatches, type MissingDependencies } from './missing-of-batches.ts';
import { isOfRedis } from './study-router.ts';

/** Interval for checking whether there is work. */
const lookMs = 500;
const probeMs = 5_000;

/** Interval for listing all: this restores the set of open ones. */
const listEveryMs = 60_000;

export interface BatchDependencies extends MissingDependencies {
  readonly pipeline: PipelineContext;
  readonly enqueuer: StudyEnqueuer;
  /** Ensures that Redis still has its data. */
  confirm(): Promise<void>;
  /** Called when a study was routed, or nothing waits. */
  well(): void;
  readonly log: Logger;
}

/**
 * Routes the studies of the batches of a source, as its leader: one study of each batch in turn, each with the id of its
 * batch, so that a study that was started before a crash is not sent twice. New studies come first: deliveries of a batch
 * have the priority `background`. A study that may have left the source stays the first of its batch; other batches continue.
 *
 * @throws DispatchError if the source as a whole, or Redis, cannot be used
 */
export async function routeBatches(dependencies: BatchDependencies): Promise<never> {
  const { source, pipeline, signal, now } = dependencies;
  const batches = new Batches(pipeline.redis, pipeline.config().redis.prefix);
  const missing = new MissingOfBatches(dependencies);
  let listedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    if (performance.now() - listedAt > listEveryMs) {
      await batches.list();
      listedAt = performance.now();
    }
    let routed = 0;
    let doubt: unknown;
    for (const batch of await batches.open()) {
      if (batch.source !== source || batch.state !== 'running') continue;
      const study = await batches.next(batch.id, now());
      if (study === undefined || missing.isTooEarly(batch.id, study)) continue;
      signal.throwIfAborted();
      await dependencies.confirm();
      let { outcome, problem } = await routeOne(dependencies, batch, study);
      if (outcome === 'missing') {
        try {
          if (!(await missing.hasLeft(batch, study))) continue;
        } catch (error) {
          doubt ??= error;
          continue;
        }
        outcome = 'skipped';
      }
      await batches.studyDone(batch.id, study, outcome, problem);
      routed += 1;
    }
    if (doubt === undefined) dependencies.well();
    else if (routed === 0) throw doubt;
    if (routed === 0) await sleep(lookMs, undefined, { signal });
  }
}

async function routeOne(
  { source, pipeline, enqueuer, orthanc, log, signal }: BatchDependencies,
  { id, targets, rule, by }: Batch,
  orthancStudyId: string,
): Promise<{ readonly outcome: BatchOutcome | 'missing'; readonly problem?: string }> {
  const request = { source, orthancStudyId, targets, rule, priority: 'background', nonce: id } as const;
  try {
    await routeAgain(pipeline, request, orthanc, { name: `${by} (batch ${id})` }, enqueuer);
    return { outcome: 'routed' };
  } catch (error) {
    if (signal.aborted || isOfRedis(error)) throw error;
    // No rule matches it.
    if (error instanceof OperationError && error.code === 'conflict') return { outcome: 'skipped' };
    if (!(error instanceof OperationError)) {
      await orthanc.system({ timeoutMs: probeMs, signal }).catch((thrown: unknown) => {
        throw sourceError(thrown, source);
      });
    }
    if (error instanceof DispatchError && error.code === 'source-gone') return { outcome: 'missing' };
    const isKnown = error instanceof DispatchError || error instanceof OperationError;
    const why = isKnown ? error.message : 'internal error';
    log.warn({ source, batch: id, orthancStudy: orthancStudyId, reason: why }, 'a study of a batch cannot be routed');
    return { outcome: 'failed', problem: `${orthancStudyId}: ${why}` };
  }
}
