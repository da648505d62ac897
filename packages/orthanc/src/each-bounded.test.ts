import { expect, it } from 'vitest';
import { eachBounded } from './each-bounded.ts';

it('acts on each item once, in order, at most as many in parallel as allowed', async () => {
  const begun: number[] = [];
  let running = 0;
  await eachBounded([1, 2, 3, 4, 5], 2, async (item) => {
    begun.push(item);
    running += 1;
    expect(running).toBeLessThanOrEqual(2);
    await new Promise(setImmediate);
    running -= 1;
  });
  expect(begun).toEqual([1, 2, 3, 4, 5]);
});

it('starts nothing after a failure, and ends with it when all running ones have ended, if its end is shared', async () => {
  const slow = Promise.withResolvers<void>();
  const [begun, ended]: [number[], number[]] = [[], []];
  const act = async (item: number): Promise<void> => {
    begun.push(item);
    if (item === 2) throw new Error('the second one');
    await slow.promise;
    ended.push(item);
  };
  const running = eachBounded([1, 2, 3, 4], 2, act, new AbortController());
  let isSettled = false;
  void running.catch(() => {}).finally(() => (isSettled = true));
  await new Promise(setImmediate);
  expect(isSettled).toBe(false);
  slow.resolve();
  await expect(running).rejects.toThrow('the second one');
  expect([begun, ended]).toEqual([[1, 2], [1]]);
});

it('without a shared end, fails immediately', async () => {
  const begun: number[] = [];
  const running = eachBounded([1, 2, 3], 2, async (item) => {
    begun.push(item);
    if (item === 2) throw new Error('the second one');
    await new Promise(() => {});
  });
  await expect(running).rejects.toThrow('the second one');
  expect(begun).toEqual([1, 2]);
});
