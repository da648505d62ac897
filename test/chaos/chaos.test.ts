import { expect, it } from 'vitest';
import { makeSchedule } from './make-schedule.ts';
import { runSchedule } from './run-schedule.ts';

/**
 * Three of the schedules of the long run (`./dispatch chaos`), smaller; its results are in docs/reliability.md. In these, Orthanc,
 * Redis, the router and a dispatcher are killed, the disk is full, clocks are wrong, and the source answers wrongly.
 */
const seeds = [5, 17, 81];

it.each(seeds)(
  'schedule %i: nothing missing, nothing falsely delivered or gone, status correct, duplicates only of instances in transit',
  async (seed) => {
    const verdict = await runSchedule(makeSchedule(seed, { studies: 3, faults: 5, exam: seed % 3 === 0 }));
    expect(verdict, verdict.logs).toMatchObject({ missing: 0, falselyDelivered: 0, falselyGone: 0, passes: true });
  },
);

it('a schedule follows from its seed', () => {
  expect(makeSchedule(7, { studies: 3, faults: 5 })).toEqual(makeSchedule(7, { studies: 3, faults: 5 }));
  expect(makeSchedule(7, { studies: 3, faults: 5 })).not.toEqual(makeSchedule(8, { studies: 3, faults: 5 }));
});
