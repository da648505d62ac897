import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { HeldArrivals } from './held-arrivals.ts';

let now = 0;
beforeEach(() => {
  now = 1_000_000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => vi.restoreAllMocks());

const never = (): boolean => false;

/** Reads of a feed at these times in ms, each with some new instances. @returns times of the announcements with their sizes */
function announced(reads: readonly (readonly [at: number, count: number])[], isPushed = false): [number, number][] {
  const begun = now;
  const held = new HeldArrivals();
  const announcements: [number, number][] = [];
  let id = 0;
  for (const [at, count] of reads) {
    now = begun + at;
    held.add({ instances: Array.from({ length: count }, () => `i-${id++}`), series: [] }, never);
    if (!held.isEmpty && held.isDue(isPushed)) announcements.push([at, held.take().instances.length]);
  }
  return announcements;
}

it('announces the first instances at once, and later ones at growing intervals of at most 3 s', () => {
  const reads = Array.from({ length: 100 }, (_, index): [number, number] => [index * 200, 1]);
  expect(announced(reads)).toEqual([
    [0, 1],
    [600, 3],
    [1_800, 6],
    [4_200, 12],
    [7_200, 15],
    [10_200, 15],
    [13_200, 15],
    [16_200, 15],
    [19_200, 15],
  ]);
});

it('announces 24 instances before the interval has passed, but not within the first', () => {
  const reads = Array.from({ length: 12 }, (_, index): [number, number] => [index * 200, 20]);
  expect(announced(reads)).toEqual([
    [0, 20],
    [600, 60],
    [1_200, 60],
    [1_800, 60],
  ]);
});

it('announces the last instances when a later read has no further ones', () => {
  const read = [0, 1] as const;
  expect(announced([read, [100, 3], [150, 0], [300, 0], [450, 0]])).toEqual([
    [0, 1],
    [300, 3],
  ]);
});

it('announces the first instance after a pause at once', () => {
  const growing = Array.from({ length: 50 }, (_, index): [number, number] => [index * 100, 1]);
  const after = announced([...growing, [5_100, 0], [6_500, 1]]);
  expect(after.slice(-2)).toEqual([
    [5_100, 7],
    [6_500, 1],
  ]);
});

it('leaves instances to a plugin that announces them, for 3.5 s', () => {
  const held = new HeldArrivals();
  held.add({ instances: ['i-1'], series: ['s-1'] }, never);
  // A push.
  expect(held.take()).toEqual({ instances: ['i-1'], series: ['s-1'] });
  held.add({ instances: ['i-2'], series: [] }, never);
  now += 3_499;
  expect(held.isDue(true)).toBe(false);
  now += 1;
  expect(held.isDue(true)).toBe(true);
});

it('announces nothing twice, and holds a limited number', () => {
  const held = new HeldArrivals();
  const instances = Array.from({ length: 30_000 }, (_, index) => `i-${index}`);
  held.add({ instances: ['i-1', 'i-1', 'i-2'], series: ['s-1'] }, (id) => id === 'i-2');
  held.add({ instances: ['i-1'], series: ['s-1'] }, never);
  expect(held.take()).toEqual({ instances: ['i-1'], series: ['s-1'] });
  expect(held.isEmpty).toBe(true);
  held.add({ instances, series: [] }, never);
  expect(held.take().instances).toHaveLength(20_000);
});
