import { describePlace } from '@dicom-dispatch/core';
import { describeMove } from '@dicom-dispatch/state/target-places';
import type { JobEnd } from '@dicom-dispatch/pipeline';
import type { DeliveryJobRun } from './delivery-job-run.ts';
import { leaveTarget } from './leave-target.ts';
import { putOff } from './put-off.ts';

/** Interval in which a delivery that waits for the decision checks it. The decision also wakes the delivery. */
const lookAgainMs = 60_000;

/** Address of a delivery, and its ledger. */
export interface DeliveryPlace {
  readonly ledger: string;
  /** The address in one line, for records and receipts. */
  readonly place: string;
}

/**
 * The place of the target. While no operator has decided whether the contents of a moved target are the same, nothing may
 * count as confirmed there, and nothing is sent.
 *
 * @returns how the job ends if a decision is needed first
 * @throws HandedOver if another target of its group has taken it over
 */
export async function waitForPlace(
  jobRun: DeliveryJobRun,
): Promise<{ readonly end: JobEnd } | ({ readonly end: undefined } & DeliveryPlace)> {
  const { context, data, target } = jobRun;
  if (!target) return { end: undefined, ledger: data.target, place: '' };
  const verdict = await context.places.register(data.target, target);
  if (verdict.kind === 'known') {
    return { end: undefined, ledger: verdict.ledger, place: describePlace(verdict.place) };
  }
  const text = describeMove(data.target, verdict);
  await leaveTarget(jobRun, 'the target was moved, and waits for a decision');
  const last = (await context.records.events(data.deliveryId)).at(-1);
  const event = { kind: 'waiting', text } as const;
  return { end: await putOff(jobRun, { wake: 'person', inMs: lookAgainMs, ...(last?.text !== text && { event }) }) };
}
