import { asDispatchError, type DispatchError, type ErrorCode } from '@dicom-dispatch/core';
import type { DeliveryRun, InstanceOutcome, ManifestInstance } from '../contract/index.ts';
import { cancelledError, until } from './waiting.ts';
import { OpenQueue, type OpenedInstance } from './open-queue.ts';
import { ReportsTogether } from './reports-together.ts';

/**
 * Effect of an error on the run.
 *
 * - `quarantine`: this instance will never arrive; the study continues without it
 * - `later`: this instance failed now; the others continue, then the attempt fails
 * - `stop`: the target, the source or this process cannot continue
 */
export type Verdict = 'quarantine' | 'later' | 'stop';

/** Failures of the source for one instance: the others may be readable. */
const ofOneInstance: ReadonlySet<ErrorCode> = new Set([
  'source-instance-gone',
  'source-instance-failed',
  'source-bytes-wrong',
]);

/** The effect of an error on the run; errors of one instance are distinguished from those of the target by code and fault. */
export function verdictOf(error: DispatchError): Verdict {
  if (ofOneInstance.has(error.code)) return error.disposition === 'permanent' ? 'quarantine' : 'later';
  if (error.fault === 'instance' && error.disposition === 'permanent') return 'quarantine';
  if (error.code === 'instance-failed' || error.fault === 'instance') return 'later';
  return 'stop';
}

export interface LaneOptions {
  /** Maximum number of instances in transit or not yet reported. A crash repeats at most these. */
  readonly lanes: number;
  /** Number of further instances that are opened ahead, over all lanes; each holds a connection to the source. Default: one per lane. */
  readonly prefetch?: number;
  /** Default: pending instances. */
  readonly instances?: readonly ManifestInstance[];
  /** The transfer syntax to request from the source; default the stored one. */
  readonly transferSyntaxUid?: (instance: ManifestInstance) => string | undefined;
  /** Whether the target needs Part 10 files: see `OpenOptions`. */
  readonly asPart10?: boolean;
  /** After this number of consecutive temporary failures (`instance-failed`) the attempt ends. Default 20. */
  readonly failuresInRow?: number;
  /** Whether the caller handles a temporary failure itself: then it is not thrown at the end. */
  isSeenTo?(instance: ManifestInstance, error: DispatchError): boolean;
}

export interface LaneContext {
  /** Number of the lane, from 0: for objects of a lane, such as a connection. */
  readonly lane: number;
  /** Aborted with the run, and if another lane has an error that ends the attempt. */
  readonly signal: AbortSignal;
}

/**
 * Sends one instance. Its result is reported; undefined = the function has reported the instance itself, or will do so. A thrown
 * error quarantines the instance, is postponed to the end, or stops all lanes (see `verdictOf`).
 */
export type Send = (opened: OpenedInstance, context: LaneContext) => Promise<InstanceOutcome | undefined>;

export interface LaneResult {
  /** Instances that the lanes reported as quarantined. */
  readonly quarantined: readonly ManifestInstance[];
}

type Run = Pick<DeliveryRun<unknown>, 'open' | 'sent' | 'report' | 'pending' | 'signal' | 'log' | 'isPart'>;

/**
 * A study that is being received is sent in parts. The instances of a part of at most this number are opened one after the other and
 * reported together: as many as a source receives between two announcements, at up to 25 a second.
 */
const maxTogether = 64;

/**
 * Sends instances in parallel lanes that share one queue. An error of the source takes precedence over the error into which a
 * library converted it. Resolves when every instance was sent or quarantined and no lane is active.
 *
 * @throws {DispatchError} the first error that ends the attempt, otherwise the first postponed one
 */
export async function inLanes(run: Run, options: LaneOptions, send: Send): Promise<LaneResult> {
  const instances = options.instances ?? run.pending;
  const lanes = Math.max(1, Math.min(options.lanes, instances.length));
  const stop = new AbortController();
  const signal = AbortSignal.any([run.signal, stop.signal]);
  const isSmallPart = run.isPart === true && instances.length <= maxTogether;
  const queue = new OpenQueue(run, {
    instances,
    prefetch: options.prefetch ?? lanes,
    signal,
    transferSyntaxUid: options.transferSyntaxUid,
    asPart10: options.asPart10,
    inTurn: isSmallPart,
  });
  let ending: DispatchError | undefined;
  let putOff: DispatchError | undefined;
  let failedInRow = 0;
  const quarantined: ManifestInstance[] = [];
  const together = isSmallPart
    ? new ReportsTogether(instances.length, lanes, (thrown) => end(asDispatchError(thrown)))
    : undefined;

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

  /** @returns what to report; undefined if there is nothing */
  async function sendOne(opened: OpenedInstance, lane: number): Promise<InstanceOutcome | undefined> {
    let outcome: InstanceOutcome | undefined;
    try {
      outcome = await send(opened, { lane, signal });
    } catch (thrown) {
      if (!signal.aborted) await failed(opened.instance, opened.bytes.readError ?? asDispatchError(thrown));
      return undefined;
    } finally {
      await opened.bytes.release();
    }
    failedInRow = 0;
    if (outcome?.kind === 'quarantined') quarantined.push(opened.instance);
    return outcome;
  }

  async function sendTogether(reports: ReportsTogether, opened: OpenedInstance, lane: number): Promise<void> {
    await reports.begin();
    let report: (() => Promise<void>) | undefined;
    try {
      // Aborted while the lane waited: no transfer begins.
      if (signal.aborted) return await opened.bytes.release();
      const outcome = await sendOne(opened, lane);
      report = outcome && (() => run.report(opened.instance, outcome));
    } finally {
      reports.end(report);
    }
  }

  async function runLane(lane: number): Promise<void> {
    for (let next = queue.next(); next; next = queue.next()) {
      const { instance, opened } = next;
      let bytes;
      try {
        bytes = await until(opened, signal, (late) => void late.release());
      } catch (thrown) {
        if (signal.aborted) return;
        together?.skip();
        await failed(instance, asDispatchError(thrown));
        continue;
      }
      const ready = { instance, bytes };
      if (together) {
        await sendTogether(together, ready, lane);
        continue;
      }
      const outcome = await sendOne(ready, lane);
      // Awaited: an instance that has arrived but is not in the ledger when a worker crashes would be sent again.
      if (outcome) await run.report(instance, outcome);
    }
  }

  const running = Array.from({ length: lanes }, (_, lane) =>
    // Errors of a lane itself come from `report`: the ledger is unreachable, or this worker no longer owns the delivery.
    runLane(lane).catch((thrown: unknown) => end(asDispatchError(thrown))),
  );
  await Promise.all(running);
  await together?.finish();
  await queue.close();
  if (run.signal.aborted) throw cancelledError(run.signal);
  if (ending) throw ending;
  if (putOff) throw putOff;
  return { quarantined };
}
