import { asDispatchError, type DispatchError, type ErrorCode } from '@dicom-dispatch/core';
import type { DeliveryRun, InstanceOutcome, ManifestInstance } from '../contract/index.ts';
import { cancelledError, until } from './waiting.ts';
import { OpenQueue, type OpenedInstance } from './open-queue.ts';

/**
 * What an error says of the run.
 *
 * - `quarantine`: this instance will never arrive; the study goes on without it
 * - `later`: this instance failed now; the others go on, then the attempt fails
 * - `stop`: the target, the source or we cannot go on
 */
export type Verdict = 'quarantine' | 'later' | 'stop';

/** What the source fails at one instance of: the others may be well. */
const ofOneInstance: ReadonlySet<ErrorCode> = new Set([
  'source-instance-gone',
  'source-instance-failed',
  'source-bytes-wrong',
]);

export function verdictOf(error: DispatchError): Verdict {
  if (ofOneInstance.has(error.code)) return error.disposition === 'permanent' ? 'quarantine' : 'later';
  if (error.fault === 'instance' && error.disposition === 'permanent') return 'quarantine';
  if (error.code === 'instance-failed' || error.fault === 'instance') return 'later';
  return 'stop';
}

export interface LaneOptions {
  /** How many instances are on their way at the same time. */
  readonly lanes: number;
  /** How many more are opened ahead, over all lanes; each holds a connection to the source. Default: one a lane. */
  readonly prefetch?: number;
  /** Default: what is pending. */
  readonly instances?: readonly ManifestInstance[];
  /** The transfer syntax to ask the source for; default the stored one. */
  readonly transferSyntaxUid?: (instance: ManifestInstance) => string | undefined;
  /** Whether the target needs Part 10 files, whatever the source has. */
  readonly asPart10?: boolean;
  /** After so many instances in a row that failed for now (`instance-failed`) the attempt ends. Default 20. */
  readonly failuresInRow?: number;
  /** Whether the caller sees to a failure for now by itself: then it is not thrown at the end. */
  isSeenTo?(instance: ManifestInstance, error: DispatchError): boolean;
}

export interface LaneContext {
  /** From 0: for what a lane keeps for itself, such as a connection. */
  readonly lane: number;
  /** Aborted when the run is, and when another lane has met an error that ends the attempt. */
  readonly signal: AbortSignal;
}

/**
 * Sends one instance. What it returns is reported; with undefined it has reported, or will report, by itself.
 * A thrown error either quarantines the instance, is put off to the end, or stops all lanes (see `verdictOf`).
 */
export type Send = (opened: OpenedInstance, context: LaneContext) => Promise<InstanceOutcome | undefined>;

export interface LaneResult {
  /** What the lanes reported as quarantined. */
  readonly quarantined: readonly ManifestInstance[];
}

type Run = Pick<DeliveryRun<unknown>, 'open' | 'sent' | 'report' | 'pending' | 'signal' | 'log'>;

/**
 * Sends instances in parallel lanes that share one queue. An error of the source wins over what a
 * library made of it. Resolves when every instance was sent or quarantined and no lane has anything under way.
 *
 * @throws {DispatchError} the first error that ends the attempt, else the first that was put off
 */
export async function inLanes(run: Run, options: LaneOptions, send: Send): Promise<LaneResult> {
  const instances = options.instances ?? run.pending;
  const lanes = Math.max(1, Math.min(options.lanes, instances.length));
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const queue = new OpenQueue(run, {
    instances,
    prefetch: options.prefetch ?? lanes,
    signal,
    transferSyntaxUid: options.transferSyntaxUid,
    asPart10: options.asPart10,
  });
  let ending: DispatchError | undefined;
  let putOff: DispatchError | undefined;
  let failedInRow = 0;
  const quarantined: ManifestInstance[] = [];

  function end(error: DispatchError): void {
    ending ??= error;
    stop.abort(error);
  }

  async function failed(instance: ManifestInstance, error: DispatchError): Promise<void> {
    const verdict = verdictOf(error);
    if (verdict === 'stop') return end(error);
    if (verdict === 'quarantine') {
      run.log.warn('instance quarantined', { sopInstanceUid: instance.sopInstanceUid, code: error.code });
      quarantined.push(instance);
      return run.report(instance, { kind: 'quarantined', error });
    }
    if (options.isSeenTo?.(instance, error)) return;
    putOff ??= error;
    failedInRow += 1;
    run.log.warn('instance failed', { sopInstanceUid: instance.sopInstanceUid, code: error.code });
    if (failedInRow >= (options.failuresInRow ?? 20)) end(error);
  }

  async function sendOne(opened: OpenedInstance, lane: number): Promise<void> {
    let outcome: InstanceOutcome | undefined;
    try {
      outcome = await send(opened, { lane, signal });
    } catch (thrown) {
      if (signal.aborted) return;
      return await failed(opened.instance, opened.bytes.readError ?? asDispatchError(thrown));
    } finally {
      await opened.bytes.release();
    }
    failedInRow = 0;
    if (!outcome) return;
    if (outcome.kind === 'quarantined') quarantined.push(opened.instance);
    // Awaited: what has arrived and is not in the ledger when a worker dies would be sent again.
    await run.report(opened.instance, outcome);
  }

  async function runLane(lane: number): Promise<void> {
    for (let next = queue.next(); next; next = queue.next()) {
      const { instance, opened } = next;
      let bytes;
      try {
        bytes = await until(opened, signal, (late) => void late.release());
      } catch (thrown) {
        if (signal.aborted) return;
        await failed(instance, asDispatchError(thrown));
        continue;
      }
      await sendOne({ instance, bytes }, lane);
    }
  }

  const running = Array.from({ length: lanes }, (_, lane) =>
    // What a lane throws itself comes from `report`: the ledger is unreachable or the delivery is no longer ours.
    runLane(lane).catch((thrown: unknown) => end(asDispatchError(thrown))),
  );
  await Promise.all(running);
  await queue.close();
  if (run.signal.aborted) throw cancelledError(run.signal);
  if (ending) throw ending;
  if (putOff) throw putOff;
  return { quarantined };
}
