import { expect, it } from 'vitest';
import { DigestBudget } from './digest-budget.ts';

/** How many of the instances that arrive at an interval are digested in ten seconds, and how many in the next ten. */
function digested(
  sizeBytes: number,
  everyMs: number,
  tookMs?: (now: number) => number,
  isArriving = false,
): [number, number] {
  let now = 0;
  const budget = new DigestBudget(() => now);
  const counts: [number, number] = [0, 0];
  for (; now < 20_000; now += everyMs) {
    if (!budget.take(sizeBytes, isArriving)) continue;
    counts[now < 10_000 ? 0 : 1] += 1;
    if (tookMs) budget.answered(tookMs(now));
  }
  return counts;
}

it('selects as many as cost 1 % of the time, and a few at the beginning', () => {
  // 20 kB: 0.54 ms each.
  expect(digested(20_000, 1)[0]).toBeGreaterThan(150);
  expect(digested(20_000, 1)[0]).toBeLessThan(210);
  // 0.5 MB on a link of 10 Mbit/s: 0.4 s apart, 1.6 ms each.
  expect(digested(500_000, 400)[0]).toBe(25);
  // A digest that costs more than the budget ever allows.
  expect(digested(200_000_000, 1000)[0]).toBe(0);
});

it('counts the actual duration of the responses, so that they stay at 1 %', () => {
  // 100 ms of each ten seconds, at 10 ms for a response.
  const [, slow] = digested(20_000, 1, () => 10);
  expect(slow).toBeGreaterThanOrEqual(9);
  expect(slow).toBeLessThanOrEqual(11);
  // At least half a millisecond counts, regardless of the clock.
  expect(digested(20_000, 1, () => 0)[1]).toBeLessThan(190);
});

it('selects samples again after stalled responses', () => {
  // A minute for the first response counts as a tenth of a second at most.
  const [first, later] = digested(20_000, 1, (now) => (now === 0 ? 60_000 : 1));
  expect(first).toBeGreaterThan(0);
  expect(later).toBeGreaterThan(40);
  // It never stops: still one every ten seconds.
  expect(digested(20_000, 1, () => 60_000)[1]).toBeGreaterThanOrEqual(1);
});

it('of a study that arrives it takes no more than of one that is sent whole', () => {
  // 0.5 MB eight times a second: 5 ms of each instance count, not the 120 ms until the next.
  const [, later] = digested(500_000, 120, undefined, true);
  expect(later).toBeGreaterThanOrEqual(2);
  expect(later).toBeLessThanOrEqual(4);
  expect(digested(500_000, 120)[1]).toBeGreaterThan(55);
});

it('a study that arrives takes nothing from one that is sent whole', () => {
  let now = 0;
  const budget = new DigestBudget(() => now);
  let whole = 0;
  for (; now < 10_000; now += 1) {
    if (now % 20 === 0) budget.take(20_000, true);
    if (now % 400 === 0 && budget.take(500_000)) whole += 1;
  }
  expect(whole).toBe(25);
});
