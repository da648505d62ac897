import { expect, it } from 'vitest';
import { oneAtATime } from './one-at-a-time.ts';

it('one function of a name at a time; another one is skipped, without waiting', async () => {
  const exclusively = oneAtATime();
  const first = Promise.withResolvers<string>();
  const running = exclusively('archive', () => first.promise);
  expect(await exclusively('archive', async () => 'second')).toBeUndefined();
  expect(await exclusively('other', async () => 'third')).toBe('third');
  first.resolve('first');
  expect(await running).toBe('first');
  await expect(exclusively('archive', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(await exclusively('archive', async () => 'fourth')).toBe('fourth');
});
