import { asDispatchError, type DispatchError } from '@dicom-dispatch/core';
import type { DeliveryRun, ManifestInstance } from '@dicom-dispatch/target-kit';
import { cancelledError, largeAtOnce, verdictOf, type Suspects } from '@dicom-dispatch/target-kit/flow';
import { Gate, type HttpConnection } from '../http/index.ts';
import { BatchQueue, type BatchLimits } from './batch-queue.ts';
import { foreignAnswer } from './errors.ts';
import { judgeBatch, type Judgement, type Verdict } from './judge-batch.ts';
import type { DicomwebTarget } from './schema.ts';
import { SendTally } from './send-tally.ts';
import { stowBody, type SourceFailure, type StowBody } from './stow-body.ts';
import { StowSender } from './stow-sender.ts';
import type { StudySearch } from './study-search.ts';

/** From this number of instances on, one is sent last. */
const leastForControl = 12;

/** Stored with the delivery: the maximum batch size, once a batch was too large. */
const limitsKey = 'dicomweb-batch';

export interface Sending {
  readonly http: HttpConnection;
  readonly search: StudySearch;
  readonly suspects: Suspects;
  readonly pending: readonly ManifestInstance[];
}

/**
 * Sends instances in batches, several requests in parallel, and reports each instance when its response arrives. After a failure of a
 * gateway or a lost response a search shows what has arrived, and missing instances are sent again in halves.
 *
 * @throws {DispatchError} the error that ends the attempt; no request is running any more
 */
export async function sendBatches(run: DeliveryRun<DicomwebTarget>, sending: Sending): Promise<SendTally> {
  const { config } = run;
  const { http, search, suspects } = sending;
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const queue = new BatchQueue(withControl(sending.pending), await knownLimits(run));
  const sender = await StowSender.open(http, run);
  const large = new Gate(largeAtOnce);
  const sizes = new Map<ManifestInstance, number>();
  const brokeOnce = new Set<ManifestInstance>();
  const tally = new SendTally(run, suspects);
  let ending: DispatchError | undefined;

  async function shrink(batch: readonly ManifestInstance[]): Promise<void> {
    if (batch.length < 2) return;
    queue.shrink(batch);
    await run.state.set(limitsKey, queue.limits);
  }

  /** True if the others can be sent without this one. */
  async function sourceFailed({ instance, error }: SourceFailure): Promise<boolean> {
    const verdict = verdictOf(error);
    if (verdict === 'stop') return false;
    if (verdict === 'quarantine') await tally.quarantine(instance, error);
    else tally.later(error);
    return true;
  }

  /** Confirms instances of a batch that a search lists, except those that the target may have had before. */
  async function confirm(batch: readonly ManifestInstance[], begun: number, failure: DispatchError) {
    const presence = await search.presence(batch).catch((thrown: unknown) => {
      // Uploads and searches both fail: the error of the upload is more specific. A cancelled run is reported as cancelled anyway.
      run.log.warn('the target could not be searched', { code: asDispatchError(thrown).code });
      throw failure;
    });
    const there = (presence?.there ?? []).filter((one) => search.isOurs(one));
    for (const instance of there)
      await tally.delivered(instance, { kind: 'delivered', answer: 'listed by a search' }, begun);
    return { open: batch.filter((one) => !there.includes(one)), canSearch: presence !== undefined };
  }

  /** No response, or one of a gateway: a search shows what has arrived, the rest is sent in halves. */
  async function unanswered(batch: readonly ManifestInstance[], error: DispatchError, body: StowBody, begun: number) {
    run.log.warn('request without an answer', { instances: batch.length, code: error.code });
    const { open } = await confirm(batch, begun, error);
    const [first] = open;
    // The connection may have been closed before it was used; a request that was not sent completely is sent again, once.
    const isEarly = error.code === 'target-connection-lost' && !body.isWhole && !open.some((one) => brokeOnce.has(one));
    if (isEarly) {
      for (const one of open) brokeOnce.add(one);
      return queue.again(open);
    }
    await shrink(batch);
    if (!first) return;
    if (error.retryAfterMs !== undefined) throw error;
    if (batch.length === 1) await tally.unanswered(first, error);
    else queue.halve(open);
  }

  async function settle(
    batch: readonly ManifestInstance[],
    verdict: Verdict & { readonly kind: 'judged' },
    begun: number,
  ): Promise<void> {
    if (verdict.tooLarge) await shrink(batch);
    const again: ManifestInstance[] = [];
    for (const [instance, judgement] of verdict.instances) {
      if (judgement.kind === 'again') again.push(instance);
      else await take(instance, judgement, begun);
    }
    queue.halve(again);
  }

  async function take(
    instance: ManifestInstance,
    judgement: Exclude<Judgement, { kind: 'again' }>,
    begun: number,
  ): Promise<void> {
    switch (judgement.kind) {
      case 'delivered':
        return tally.delivered(instance, judgement, begun);
      case 'quarantined':
        return tally.quarantine(instance, judgement.error);
      case 'refused':
        return await tally.refuse(instance, judgement.error);
      case 'later':
        return tally.failed(instance, judgement.error);
      case 'unknown':
        return void tally.unknown.push({ instance, why: judgement.why, warning: judgement.warning });
    }
  }

  async function sendOne(batch: readonly ManifestInstance[]): Promise<void> {
    let remeasured = false;
    const exact = {
      sizeOf: (one: ManifestInstance): number => sizes.get(one) ?? one.sizeBytes,
      measured(instance: ManifestInstance, sizeBytes: number) {
        // Only once: if the size changes again, the source is at fault.
        remeasured = !sizes.has(instance);
        sizes.set(instance, sizeBytes);
      },
    };
    const body = stowBody(run, batch, run.sizes === 'estimated' ? undefined : exact, signal);
    const totalBytes = batch.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    using _place = totalBytes >= config.batch.bytes ? await large.enter(signal) : undefined;
    const begun = suspects.begin();
    let answer;
    try {
      answer = await sender.send(body, signal);
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      // The source has announced another size than the manifest: the request is sent again with that size.
      if (remeasured) return queue.again(batch);
      if (body.broken) {
        if (!(await sourceFailed(body.broken))) throw body.broken.error;
        return queue.again(batch.filter((one) => one !== body.broken?.instance));
      }
      const error = asDispatchError(thrown);
      const isLost = error.code === 'target-connection-lost' || error.code === 'target-timeout';
      if (!isLost) throw error;
      return unanswered(batch, error, body, begun);
    }
    const sent = batch.filter((one) => !body.skipped.some(({ instance }) => instance === one));
    for (const failure of body.skipped) if (!(await sourceFailed(failure))) throw failure.error;
    if (sent.length === 0) return;
    const verdict = judgeBatch(sent, answer);
    if (verdict.kind === 'judged') return settle(sent, verdict, begun);
    if (verdict.kind === 'unanswered') return unanswered(sent, verdict.error, body, begun);
    const failure = foreignAnswer(verdict, { unconfirmed: sent.length, canSearch: true });
    const { open, canSearch } = await confirm(sent, begun, failure);
    if (open.length > 0) throw foreignAnswer(verdict, { unconfirmed: open.length, canSearch });
  }

  async function runLane(): Promise<void> {
    for (let batch = queue.next(); batch && !signal.aborted; batch = queue.next()) await sendOne(batch);
  }

  const lanes = Array.from({ length: config.maxParallel }, () =>
    runLane().catch((thrown: unknown) => {
      ending ??= asDispatchError(thrown);
      stop.abort(ending);
    }),
  );
  await Promise.all(lanes);
  if (run.signal.aborted) throw cancelledError(run.signal);
  if (ending) throw ending;
  await tally.end();
  return tally;
}

/**
 * Moves the first instance to the end: if it is accepted after others were rejected, the target was available. The last ones of a study
 * are often of another kind, e.g. reports.
 */
function withControl(pending: readonly ManifestInstance[]): readonly ManifestInstance[] {
  return pending.length < leastForControl ? pending : [...pending.slice(1), ...pending.slice(0, 1)];
}

async function knownLimits({ config, state }: DeliveryRun<DicomwebTarget>): Promise<BatchLimits> {
  const { instances, bytes } = config.batch;
  const known = await state.get<BatchLimits>(limitsKey);
  return {
    instances: Math.min(instances, known?.instances ?? instances),
    bytes: Math.min(bytes, known?.bytes ?? bytes),
  };
}
