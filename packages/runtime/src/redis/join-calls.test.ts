import { expect, it } from 'vitest';
import { joinCalls } from './join-calls.ts';

it('joins the calls of one iteration of the event loop, and returns to each its result', async () => {
  const calls: (readonly number[])[] = [];
  const double = joinCalls(async (all: readonly number[]) => {
    calls.push(all);
    return all.map((one) => 2 * one);
  });
  expect(await Promise.all([double(1), double(2), double(3)])).toEqual([2, 4, 6]);
  expect(await double(4)).toBe(8);
  expect(calls).toEqual([[1, 2, 3], [4]]);
});

it('a failure is that of the calls that were joined, and of no later one', async () => {
  const call = joinCalls(async (all: readonly string[]) => {
    if (all.includes('bad')) throw new Error('refused');
    return all;
  });
  const together = await Promise.allSettled([call('good'), call('bad')]);
  expect(together.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await call('good')).toBe('good');
});
