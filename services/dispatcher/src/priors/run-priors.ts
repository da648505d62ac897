import { asDispatchError, deliveryData, priorsFromSource, type DeliveryData } from '@dicom-dispatch/core';
import type { SendPriorContext } from '@dicom-dispatch/pipeline';
import type { Logger } from '@dicom-dispatch/runtime';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { Priors, PriorsStep, PulledStudies } from '@dicom-dispatch/state/priors';
import { endStates, type DeliveryRecord } from '@dicom-dispatch/state/records';
import { choose } from './choose.ts';
import { finishPull, type PullDependencies } from './pull-prior.ts';
import { sendChosen } from './send-chosen.ts';
import { waitLeftMs } from './wait-left.ts';

export interface PriorsDependencies extends SendPriorContext {
  readonly priors: Priors;
  readonly pulled: PulledStudies;
  /** Token under which the step was claimed. */
  readonly token: string;
  readonly signal: AbortSignal;
  /** Time of the clock of Redis, in ms since 1970. */
  now(): Promise<number>;
  source(name: string): Promise<OrthancClient>;
  exclusively: PullDependencies['exclusively'];
  readonly log: Logger;
  /** Continues a waiting delivery now. */
  wake(deliveryId: string): Promise<void>;
}

/** Interval for checking the deliveries of priors, while a study waits for them, and pulls of other steps. */
const lookMs = 400;
/** Pauses after a failure: the first, doubled up to the last. */
const pausesMs = { first: 2_000, max: 300_000 };
/** After this time no further attempt is made. */
export const givenUpMs = 86_400_000;

/** Thrown if another dispatcher has the step. */
class StepLost extends Error {}

/**
 * Processes a claimed step, and releases it: chooses the priors, sends each, and waits for their arrival if the study
 * does. Each result is stored before the next action, and repeating it changes nothing, so it may be killed
 * at any time.
 */
export async function runPriors(dependencies: PriorsDependencies, claimed: PriorsStep): Promise<void> {
  let step = claimed;
  try {
    if (!dependencies.config.sources[step.source]) {
      return await endWithout(`the source ${step.source} is not in the configuration`);
    }
    const record = await dependencies.records.delivery(step.deliveryId);
    if (!record) {
      await closePulls();
      return await endWithout(step.note ?? 'its delivery no longer exists');
    }
    if (isOver(record) && (step.state === 'looking' || step.chosen.some(({ state }) => state === 'chosen'))) {
      // If it is opened again, its priors start again: existing deliveries are found.
      await closePulls();
      await dependencies.priors.drop(step, dependencies.token);
      return;
    }
    const along = deliveryData.parse(record);
    let sent: 'all' | 'busy' | 'unfit';
    do {
      if (step.state === 'looking') await keep(await look(along));
      sent = await sendAll(along);
    } while (sent === 'unfit');
    const isBusy = sent === 'busy';
    const leftMs = isOver(record) ? undefined : await stillWaitsMs();
    if (leftMs !== undefined && leftMs <= 0) step = { ...step, isLate: true };
    if (isBusy) await save({ inMs: lookMs });
    else if (leftMs === undefined || leftMs <= 0) await end(step);
    else await save({ inMs: Math.min(lookMs, leftMs) });
  } catch (thrown) {
    if (thrown instanceof StepLost) return;
    if (dependencies.signal.aborted)
      await dependencies.priors.save(step, dependencies.token, { inMs: 0 }).catch(() => {});
    else await failed(thrown);
  }

  async function save(next: Parameters<Priors['save']>[2]): Promise<void> {
    if (!(await dependencies.priors.save(step, dependencies.token, next))) throw new StepLost();
  }

  async function keep(next: PriorsStep): Promise<void> {
    step = next;
    await save('keep');
  }

  async function end(last: PriorsStep): Promise<void> {
    const { nextAttemptAt: _, ...rest } = last;
    step = { ...rest, state: 'done' };
    await save('end');
    const { chosen, leftCount, note } = step;
    const facts = { ...factsOf(step), chosen: chosen.length, left: leftCount, ...(note !== undefined && { note }) };
    dependencies.log.info(facts, 'earlier studies of the patient are sent as well');
    await wakeWaiting(dependencies, step);
  }

  async function look(along: DeliveryData): Promise<PriorsStep> {
    const now = await dependencies.now();
    const orthanc = await dependencies.source(step.source);
    return choose({ ...dependencies, orthanc, now: new Date(now), isLastTry: isGivenUp(now) }, step, along);
  }

  /** `unfit`: others must be chosen. `busy`: some of them cannot be pulled while another step pulls. */
  async function sendAll(along: DeliveryData): Promise<'all' | 'busy' | 'unfit'> {
    let isBusy = false;
    for (const [index, prior] of step.chosen.entries()) {
      if (prior.state !== 'chosen') continue;
      dependencies.signal.throwIfAborted();
      const orthanc = await dependencies.source(step.source);
      const sent = await sendChosen({ ...dependencies, orthanc }, step, prior, along);
      if (sent.kind === 'unfit') {
        const { studyInstanceUid, from } = prior;
        const unfit = [...(step.unfit ?? []), { studyInstanceUid, from, why: sent.why }];
        await keep({ ...step, state: 'looking', attempts: 0, unfit, chosen: [] });
        return 'unfit';
      }
      if (sent.kind === 'busy') isBusy = true;
      else await keep({ ...step, attempts: 0, chosen: step.chosen.with(index, sent.prior) });
    }
    if (isBusy) return 'busy';
    if (step.nextAttemptAt !== undefined) {
      // What failed before has succeeded.
      const { note: _, nextAttemptAt: __, ...rest } = step;
      step = rest;
    }
    return 'all';
  }

  /** How long the study waits for priors that have not arrived yet; undefined if it does not wait. */
  async function stillWaitsMs(): Promise<number | undefined> {
    const leftMs = waitLeftMs(step, await dependencies.now());
    if (leftMs === undefined) return undefined;
    for (const { deliveryId, state } of step.chosen) {
      if (state === 'chosen') return leftMs;
      const delivery = deliveryId === undefined ? undefined : await dependencies.records.delivery(deliveryId);
      if (delivery && !endStates.includes(delivery.state)) return leftMs;
    }
    return undefined;
  }

  function isGivenUp(now: number): boolean {
    return now - step.openedAt > givenUpMs;
  }

  async function failed(thrown: unknown): Promise<void> {
    let error = asDispatchError(thrown);
    const now = await dependencies.now();
    const attempts = step.attempts + 1;
    const isGone = error.code === 'source-gone';
    if (isGone || isGivenUp(now)) {
      const note = isGone ? 'the study is no longer in the source' : `abandoned after one day: ${error.message}`;
      const unclosed = await closePulls().then(() => undefined, asDispatchError);
      if (!unclosed || isGivenUp(now)) return endWithout(note);
      error = unclosed;
    }
    const inMs = Math.min(pausesMs.max, pausesMs.first * 2 ** Math.min(step.attempts, 20));
    step = { ...step, attempts, nextAttemptAt: now + inMs, note: error.message };
    await save({ inMs });
    const facts = { ...factsOf(step), code: error.code, reason: error.message, inMs };
    dependencies.log.warn(facts, 'earlier studies could not be sent; trying again');
  }

  /** Instances of unfinished pulls must not be treated as arriving studies. */
  async function closePulls(): Promise<void> {
    const orthanc = await dependencies.source(step.source);
    for (const { studyInstanceUid, from, state } of step.chosen) {
      if (state !== 'chosen' || from === priorsFromSource) continue;
      await finishPull({ ...dependencies, orthanc }, { source: step.source, studyInstanceUid });
    }
  }

  /** Ends without those that were not sent. */
  async function endWithout(note: string): Promise<void> {
    const chosen = step.chosen.map((one) =>
      one.state === 'chosen' ? { ...one, state: 'omitted' as const, note } : one,
    );
    await end({ ...step, chosen, note });
  }
}

function factsOf({ source, studyInstanceUid: study, target }: PriorsStep) {
  return { source, study, target };
}

/** All deliveries of the study to the target that wait for these priors: more instances may have arrived meanwhile. */
async function wakeWaiting({ records, wake }: PriorsDependencies, step: PriorsStep): Promise<void> {
  for (const { deliveryId, target, state, wake: by } of await records.deliveriesOf(step, 50)) {
    if (target === step.target && state === 'waiting' && by === 'priors') await wake(deliveryId);
  }
}

/** Whether the delivery ended without needing its priors: it was cancelled or moved, or its study has left the source. */
function isOver({ state }: DeliveryRecord): boolean {
  return state === 'cancelled' || state === 'moved' || state === 'source-gone';
}
