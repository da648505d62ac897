import { fingerprint, type Config } from '@dicom-dispatch/core';
import { readable } from '@dicom-dispatch/state/records';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Deliveries that are woken at the same time. */
const lanes = 8;

/**
 * Makes deliveries that wait for the schedule of a target check its current one.
 *
 * @returns their number
 * @throws the reason of the signal when it aborts; DispatchError if Redis does not respond
 */
export async function wakeForSchedule(
  context: DispatcherContext,
  before: Config,
  after: Config,
  signal: AbortSignal,
): Promise<number> {
  const changed = Object.entries(after.targets).flatMap(([name, { schedule }]) => {
    const former = before.targets[name]?.schedule;
    return fingerprint(former ?? null) === fingerprint(schedule ?? null) ? [] : [name];
  });
  const { records } = context;
  let woken = 0;
  for (const target of changed) {
    for await (const ids of records.deliveryIds({ target, state: 'waiting' })) {
      const waiting = readable(await records.lookAll(ids)).flatMap((looked) =>
        looked?.record.wake === 'schedule' && !looked.isHeld ? [looked.record.deliveryId] : [],
      );
      const lane = async (): Promise<void> => {
        for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
          signal.throwIfAborted();
          await context.wake(id);
          woken += 1;
        }
      };
      await Promise.all(Array.from({ length: lanes }, lane));
    }
  }
  return woken;
}
