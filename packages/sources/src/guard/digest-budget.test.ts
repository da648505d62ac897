import { expect, it } from 'vitest';
import { DigestBudget } from './digest-budget.ts';

/** How many of the instances that come at an interval are digested in ten seconds. */
function digested(sizeBytes: number, everyMs: number): number {
  let now = 0;
  const budget = new DigestBudget(() => now);
  let count = 0;
  for (; now < 10_000; now += everyMs) if (budget.take(sizeBytes)) count += 1;
  return count;
}

it('takes as many as cost 1 % of the time, and a few at the begin', () => {
  // 20 kB: 0.54 ms each.
  expect(digested(20_000, 1)).toBeGreaterThan(150);
  expect(digested(20_000, 1)).toBeLessThan(210);
  // 0.5 MB on a link of 10 Mbit/s: 0.4 s apart, 1.6 ms each.
  expect(digested(500_000, 400)).toBe(25);
  // What costs more than there ever is to spend.
  expect(digested(200_000_000, 1000)).toBe(0);
});
