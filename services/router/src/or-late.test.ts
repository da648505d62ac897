import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { orLate } from './or-late.ts';

const { signal } = new AbortController();
const never = new Promise<never>(() => {});

it('returns what is ready in time, and its error, and leaves no listener', async () => {
  expect(await orLate(Promise.resolve('done'), 60_000, signal)).toBe('done');
  await expect(orLate(Promise.reject(new Error('failed')), 60_000, signal)).rejects.toThrow('failed');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('reports what is late, and leaves no listener', async () => {
  expect(await orLate(never, 1, signal)).toBe('late');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('ends with the reason of its signal', async () => {
  const stopping = new AbortController();
  const waiting = orLate(never, 60_000, stopping.signal);
  stopping.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});
