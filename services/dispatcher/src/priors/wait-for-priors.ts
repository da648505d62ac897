import { formatDuration } from '@dicom-dispatch/core';
import type { PriorsStep } from '@dicom-dispatch/state/priors';
import type { JobEnd } from '@dicom-dispatch/pipeline';
import type { DeliveryJobRun } from '../delivery-job-run.ts';
import { leaveTarget } from '../leave-target.ts';
import { putOff } from '../put-off.ts';
import { waitLeftMs } from './wait-left.ts';

/**
 * Starts the priors of a delivery that is about to run, and ends the run of its job while the study waits for
 * them: until they have arrived, and never longer than its rule allows.
 *
 * @returns how the job ends, or undefined if the delivery may continue
 * @throws HandedOver if another target has taken it over
 */
export async function waitForPriors(jobRun: DeliveryJobRun): Promise<JobEnd | undefined> {
  const { context, data, record, now } = jobRun;
  // A started delivery does not wait any more.
  if (!data.priors || data.priors.length === 0 || record.attempts > 0) return undefined;
  if (data.group && (await context.circuits.state(data.target)).state !== 'closed') {
    await leaveTarget(jobRun, 'its circuit is open');
  }
  const step = await context.priors.open(data);
  const { waitUntil, openedAt } = step;
  const leftMs = waitLeftMs(step, now);
  if (waitUntil === undefined || leftMs === undefined || record.anyway) return undefined;
  if (step.state === 'done' && !step.isLate) return undefined;
  if (step.state !== 'done' && leftMs > 0) {
    const event = { kind: 'waiting', text: 'earlier studies of the patient are sent first' } as const;
    return putOff(jobRun, { wake: 'priors', inMs: leftMs, ...(record.wake !== 'priors' && { event }) });
  }
  if (await context.priors.goWithout(step)) {
    const text = `is sent without further waiting for earlier studies, after ${formatDuration(waitUntil - openedAt)}: ${whatIsMissing(step)}`;
    await context.records.update(data.deliveryId, {}, { kind: 'noticed', text });
  }
  return undefined;
}

/** Whether the priors of a postponed delivery have ended meanwhile, when it could not be woken yet. */
export async function havePriorsEnded({ context, data }: DeliveryJobRun): Promise<boolean> {
  return (await context.priors.open(data)).state === 'done';
}

function whatIsMissing({ state, chosen, note }: PriorsStep): string {
  if (state === 'looking') return note ?? 'they have not been chosen yet';
  const open = chosen.filter((one) => one.state === 'chosen').length;
  const words = open > 0 ? `${open} of ${chosen.length} could not be sent yet` : 'they have not all arrived';
  return note === undefined ? words : `${words} (${note})`;
}
