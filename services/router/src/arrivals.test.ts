import type { OrthancClient } from '@dicom-dispatch/orthanc';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Arrivals, type ArrivalsDependencies } from './arrivals.ts';

let now = 0;
beforeEach(() => {
  now = 1_000_000;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
});
afterEach(() => vi.restoreAllMocks());

/** Arrivals of a source that has none of the instances any more, and the ids that were looked up together. */
function announcing(given: 'arrival' | 'stable' = 'arrival') {
  let start = given;
  const looked: string[][] = [];
  const orthanc = {
    arrivedInstances: async (_level: unknown, ids: readonly string[]) => (looked.push([...ids]), []),
  } as unknown as OrthancClient;
  const rules = () => ({ rules: [{ start, config: {} }] }) as never;
  const arrivals = new Arrivals({ source: 'main', rules } as Partial<ArrivalsDependencies> as ArrivalsDependencies);
  const { signal } = new AbortController();
  const came = (...instances: string[]) => ({ instances, series: [] });
  return {
    arrivals,
    looked,
    use(other: typeof start) {
      start = other;
    },
    feed: async (...ids: string[]) => {
      arrivals.came(orthanc, 1, came(...ids), signal);
      await new Promise(setImmediate);
    },
    push: async (...ids: string[]) => {
      arrivals.pushed(orthanc, 1, came(...ids), signal);
      await new Promise(setImmediate);
    },
  };
}

it('announces the first instances of the feed at once, and later ones when a read has none', async () => {
  const { arrivals, looked, feed } = announcing();
  await feed('i-1');
  now += 200;
  await feed('i-2');
  expect(arrivals.isHolding).toBe(true);
  now += 200;
  await feed('i-3');
  expect(looked).toEqual([['i-1']]);
  now += 200;
  await feed();
  expect(looked).toEqual([['i-1'], ['i-2', 'i-3']]);
  expect(arrivals.isHolding).toBe(false);
});

it('announces instances of the feed with the next push, and none of them twice', async () => {
  const { arrivals, looked, feed, push } = announcing();
  await push('i-1');
  expect(arrivals.isPushed).toBe(true);
  now += 1_000;
  await feed('i-1', 'i-2', 'i-3');
  expect(looked).toEqual([['i-1']]);
  now += 1_000;
  await push('i-2', 'i-4');
  await feed('i-4');
  expect(looked).toEqual([['i-1'], ['i-2', 'i-3', 'i-4']]);
});

it('announces instances that the plugin has missed', async () => {
  const { arrivals, looked, feed, push } = announcing();
  await push('i-1');
  now += 2_500;
  await feed('i-2');
  now += 1_000;
  await feed();
  expect(looked).toEqual([['i-1'], ['i-2']]);
  now += 1_000;
  expect(arrivals.isPushed).toBe(false);
});

it('drops what it holds when a reload removes the rules that start on arrival', async () => {
  const { arrivals, looked, feed, use } = announcing();
  await feed('i-1');
  now += 200;
  await feed('i-2');
  expect(arrivals.isHolding).toBe(true);
  use('stable');
  await feed();
  expect(arrivals.isHolding).toBe(false);
  use('arrival');
  await feed();
  expect(looked).toEqual([['i-1']]);
});

it('neither holds nor announces anything, nor slows the feed down, if all rules start when a study is stable', async () => {
  const { arrivals, looked, feed, push } = announcing('stable');
  await feed('i-1');
  await push('i-2');
  expect([arrivals.isHolding, arrivals.isPushed, looked]).toEqual([false, false, []]);
});
