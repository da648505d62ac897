import { expect, it } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

it('one act of a name at a time; another one is not done meanwhile, and does not wait', async () => {
  const inTurn = oneAtATime();
  const first = Promise.withResolvers<string>();
  const running = inTurn('archive', () => first.promise);
  expect(await inTurn('archive', async () => 'second')).toBeUndefined();
  expect(await inTurn('other', async () => 'third')).toBe('third');
  first.resolve('first');
  expect(await running).toBe('first');
  await expect(inTurn('archive', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await inTurn('archive', async () => 'fourth')).toBe('fourth');
});
