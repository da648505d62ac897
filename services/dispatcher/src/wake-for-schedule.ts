import { fingerprint, type Config } from '@dicom-dispatch/core';
import type { DispatcherContext } from './dispatcher-context.ts';

/** Makes deliveries that wait for the schedule of a target check its current one. @returns their number */
export async function wakeForSchedule(context: DispatcherContext, before: Config, after: Config): Promise<number> {
  const { records } = context;
  const changed = Object.entries(after.targets).flatMap(([name, { schedule }]) => {
    const former = before.targets[name]?.schedule;
    return fingerprint(former ?? null) === fingerprint(schedule ?? null) ? [] : [name];
  });
  let woken = 0;
  for (const target of changed) {
    for await (const ids of records.deliveryIds({ target, state: 'waiting' })) {
      for (const looked of await records.lookAll(ids)) {
        if (looked?.record.wake !== 'schedule' || looked.isHeld) continue;
        await context.wake(looked.record.deliveryId);
        woken += 1;
      }
    }
  }
  return woken;
}
