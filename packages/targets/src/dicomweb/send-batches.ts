import { asDispatchError, type DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '../contract/index.ts';
import { cancelledError, largeAtOnce, verdictOf, type Suspects } from '../flow/index.ts';
import { Gate, type HttpConnection } from '../http/index.ts';
import { BatchQueue } from './batch-queue.ts';
import { allRefused } from './errors.ts';
import { judgeBatch, type Unknown, type Verdict } from './judge-batch.ts';
import type { DicomwebTarget } from './schema.ts';
import { stowBody } from './stow-body.ts';
import { StowSender } from './stow-sender.ts';

export interface UnknownInstance {
  readonly instance: ManifestInstance;
  readonly why: Unknown;
}

/** The first failure that was put off, and how many there were. */
export interface PutOff {
  readonly error: DispatchError;
  readonly count: number;
}

export interface SentBatches {
  /** Accepted, but the target has not said whether it keeps them. */
  readonly unknown: readonly UnknownInstance[];
  /** Quarantined now. */
  readonly quarantined: ReadonlySet<ManifestInstance>;
  readonly putOff: PutOff | undefined;
}

/** After so many instances in a row that failed for now, it is the target that fails. */
const mostInRow = 20;

/**
 * Sends instances in batches, several requests at the same time, and reports each instance as its answer arrives.
 *
 * @throws {DispatchError} what ends the attempt; nothing is under way any more
 */
export async function sendBatches(
  run: DeliveryRun<DicomwebTarget>,
  http: HttpConnection,
  pending: readonly ManifestInstance[],
  suspects: Suspects,
): Promise<SentBatches> {
  const { config } = run;
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const queue = new BatchQueue(pending, config.batch);
  const sender = new StowSender(http, config, run.study.studyInstanceUid);
  const large = new Gate(largeAtOnce);
  const sizes = new Map<ManifestInstance, number>();
  const unknown: UnknownInstance[] = [];
  const quarantined = new Set<ManifestInstance>();
  const refused: { readonly instance: ManifestInstance; readonly error: DispatchError }[] = [];
  // What was confirmed before counts as well.
  let someTaken = run.pending.length < run.manifest.length - (run.quarantined?.length ?? 0);
  let failedInRow = 0;
  let putOff: SentBatches['putOff'];
  let ending: DispatchError | undefined;

  async function quarantine(instance: ManifestInstance, error: DispatchError): Promise<void> {
    run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: error.code });
    quarantined.add(instance);
    await run.report(instance, { kind: 'quarantined', error });
  }

  async function failed(instance: ManifestInstance, thrown: DispatchError): Promise<void> {
    const error = asDispatchError(await suspects.judge(instance, thrown));
    return verdictOf(error) === 'quarantine' ? quarantine(instance, error) : later(error);
  }

  function later(error: DispatchError): void {
    putOff = { error: putOff?.error ?? error, count: (putOff?.count ?? 0) + 1 };
    failedInRow += 1;
    if (failedInRow >= mostInRow) throw error;
  }

  function refuse(instance: ManifestInstance, error: DispatchError): void {
    refused.push({ instance, error });
    if (!someTaken && refused.length >= mostInRow) throw allRefused(refused.length, error);
  }

  /** True when the batch can go again, without the instance at which the source failed. */
  async function withoutBroken(
    batch: readonly ManifestInstance[],
    body: ReturnType<typeof stowBody>,
  ): Promise<boolean> {
    if (!body.broken) return false;
    const { instance, error } = body.broken;
    const verdict = verdictOf(error);
    if (verdict === 'stop') return false;
    if (verdict === 'quarantine') await quarantine(instance, error);
    else later(error);
    queue.again(batch.filter((one) => one !== instance));
    return true;
  }

  async function sendOne(batch: readonly ManifestInstance[]): Promise<void> {
    const sizeOf = (one: ManifestInstance): number => sizes.get(one) ?? one.sizeBytes;
    let remeasured = false;
    const body = stowBody(
      run,
      batch,
      {
        sizeOf,
        measured(instance, sizeBytes) {
          // Once: a source that says another size each time is at fault.
          remeasured = !sizes.has(instance);
          sizes.set(instance, sizeBytes);
        },
      },
      signal,
    );
    using _place = body.lengthBytes >= config.batch.bytes ? await large.enter(signal) : undefined;
    const begun = suspects.begin();
    let verdict: Verdict;
    try {
      verdict = judgeBatch(batch, await sender.send(body, signal), run.attempt);
    } catch (thrown) {
      // The source has given another size than the manifest: announce that one.
      if (remeasured && !signal.aborted) return queue.again(batch);
      if (signal.aborted || !(await withoutBroken(batch, body))) throw body.broken?.error ?? thrown;
      return;
    }
    if (verdict.tooLarge) queue.shrink(batch);
    const again: ManifestInstance[] = [];
    for (const [instance, judgement] of verdict.instances) {
      if (judgement.kind === 'again') again.push(instance);
      else if (judgement.kind === 'unknown') unknown.push({ instance, why: judgement.why });
      else if (judgement.kind === 'later') await failed(instance, judgement.error);
      else if (judgement.kind === 'quarantined') await quarantine(instance, judgement.error);
      else if (judgement.kind === 'refused') refuse(instance, judgement.error);
      else {
        failedInRow = 0;
        someTaken = true;
        await suspects.passed(instance, begun);
        await run.report(instance, judgement);
      }
    }
    queue.halve(again);
  }

  async function runLane(): Promise<void> {
    for (let batch = queue.next(); batch && !signal.aborted; batch = queue.next()) await sendOne(batch);
  }

  const lanes = Array.from({ length: config.requests }, () =>
    runLane().catch((thrown: unknown) => {
      ending ??= asDispatchError(thrown);
      stop.abort(ending);
    }),
  );
  await Promise.all(lanes);
  if (run.signal.aborted) throw cancelledError(run.signal);
  if (ending) throw ending;
  const [first] = refused;
  if (first && refused.length > 1 && !someTaken) throw allRefused(refused.length, first.error);
  for (const { instance, error } of refused) await quarantine(instance, error);
  return { unknown, quarantined, putOff };
}
