import { expect, it } from 'vitest';
import { makeSchedule } from './make-schedule.ts';
import { runSchedule } from './run-schedule.ts';

/** Ten of the schedules of the long run (`./dispatch chaos`), which are in docs/reliability.md with their results. */
const seeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

it.each(seeds)(
  'schedule %i: nothing missing, nothing falsely delivered, duplicates only of what was in flight',
  { timeout: 300_000 },
  async (seed) => {
    const verdict = await runSchedule(makeSchedule(seed, { studies: 3, faults: 5 }));
    expect(verdict.isQuiet, verdict.logs).toBe(true);
    expect(verdict).toMatchObject({ missing: 0, falselyDelivered: 0 });
    expect(verdict.duplicates).toBeLessThanOrEqual(verdict.duplicatesAllowed);
  },
);

it('a schedule follows from its seed', () => {
  expect(makeSchedule(7, { studies: 3, faults: 5 })).toEqual(makeSchedule(7, { studies: 3, faults: 5 }));
  expect(makeSchedule(7, { studies: 3, faults: 5 })).not.toEqual(makeSchedule(8, { studies: 3, faults: 5 }));
});
