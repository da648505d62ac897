import { expect, it } from 'vitest';
import { inLanes } from './in-lanes.ts';

it('acts on each item once, in order, at most as many in parallel as there are lanes', async () => {
  const begun: number[] = [];
  let running = 0;
  await inLanes([1, 2, 3, 4, 5], 2, new AbortController(), async (item) => {
    begun.push(item);
    running += 1;
    expect(running).toBeLessThanOrEqual(2);
    await new Promise(setImmediate);
    running -= 1;
  });
  expect(begun).toEqual([1, 2, 3, 4, 5]);
});

it('starts nothing after a failure, and ends with it when all running ones have ended', async () => {
  const slow = Promise.withResolvers<void>();
  const [begun, ended]: [number[], number[]] = [[], []];
  const running = inLanes([1, 2, 3, 4], 2, new AbortController(), async (item) => {
    begun.push(item);
    if (item === 2) throw new Error('the second one');
    await slow.promise;
    ended.push(item);
  });
  let isSettled = false;
  void running.catch(() => {}).finally(() => (isSettled = true));
  await new Promise(setImmediate);
  expect(isSettled).toBe(false);
  slow.resolve();
  await expect(running).rejects.toThrow('the second one');
  expect([begun, ended]).toEqual([[1, 2], [1]]);
});
