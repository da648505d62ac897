import { isOpen, nextStartAt } from '@dicom-dispatch/core';
import { DelayedError, RateLimitError, UnrecoverableError } from 'bullmq';
import { tell, type DeliveryTurn } from './delivery-turn.ts';
import { leaveIfLeft, leaveTarget } from './leave-target.ts';

/** How far a held delivery is put back; its release brings it forward. */
const heldForMs = 365 * 86_400_000;
/** Windows that never meet may do so after a change of the configuration. */
const lookAgainMs = 86_400_000;

/**
 * Ends the turn for reasons of the delivery that burn no attempt: it was cancelled or is held, or the target or its rule
 * is outside the schedule.
 *
 * @throws DelayedError, UnrecoverableError for BullMQ, HandedOver when another target has taken it over
 */
export async function waitForTurn(turn: DeliveryTurn): Promise<void> {
  const { context, data, target } = turn;
  if (await context.isCancelled(data.deliveryId)) {
    await tell(
      turn,
      { state: 'cancelled', endedAt: Date.now() },
      { kind: 'ended', text: 'cancelled before it started' },
    );
    throw new UnrecoverableError('cancelled by an operator');
  }
  if (await context.isHeld(data.deliveryId)) {
    await turn.job.moveToDelayed(Date.now() + heldForMs, turn.token);
    throw new DelayedError();
  }
  await leaveIfLeft(context, data);
  if (target?.enabled === false) {
    await leaveTarget(context, data, 'the target is switched off');
    await delay(turn, Date.now() + 60_000, 'the target is switched off');
  }
  const opensAt = opensNext(turn);
  if (opensAt > Date.now()) await delay(turn, opensAt, outsideOf(turn));
}

/**
 * Ends the turn while the circuit of the target is open.
 *
 * @returns whether the attempt that may begin is the circuit's probe
 * @throws RateLimitError for BullMQ, HandedOver when another target has taken it over
 */
export async function waitForCircuit(turn: DeliveryTurn): Promise<{ readonly isProbe: boolean }> {
  const { context, data } = turn;
  const { circuits } = context;
  const verdict = await circuits.check(data.target);
  if (verdict.kind !== 'open') return { isProbe: verdict.kind === 'probe' };
  await leaveTarget(context, data, 'its circuit is open');
  await turn.pauseTarget(verdict.retryInMs);
  throw new RateLimitError();
}

/** Puts the job back until then. @param why - one line for the delivery's history; undefined when it is there already */
export async function delay(turn: DeliveryTurn, until: number, why: string | undefined): Promise<never> {
  await tell(turn, { nextAttemptAt: until }, why === undefined ? undefined : { kind: 'waiting', text: why });
  await turn.job.moveToDelayed(until, turn.token);
  throw new DelayedError();
}

/** When the target and one of the rules that want this delivery are open together. */
function opensNext({ data, target }: DeliveryTurn): number {
  const now = Date.now();
  const lists = [...(target?.schedule ? [[target.schedule]] : []), ...(data.schedules ? [data.schedules] : [])];
  return nextStartAt(lists, now) ?? now + lookAgainMs;
}

function outsideOf({ target }: DeliveryTurn): string {
  if (target?.schedule && !isOpen(target.schedule, Date.now())) return 'outside the schedule of the target';
  return 'outside the schedule of its rule';
}
