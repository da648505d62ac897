import { getEventListeners } from 'node:events';
import { expect, it } from 'vitest';
import { settleOnce } from './settle-once.ts';

const { signal } = new AbortController();
const never = new Promise<never>(() => {});
const onTimeout = (): 'late' => 'late';

it('returns what is ready in time, and its error, and leaves no listener', async () => {
  expect(await settleOnce(Promise.resolve('done'), { signal, timeoutMs: 60_000, onTimeout })).toBe('done');
  const failed = Promise.reject(new Error('failed'));
  await expect(settleOnce(failed, { signal, timeoutMs: 60_000, onTimeout })).rejects.toThrow('failed');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('returns the result of the timeout, or its error, and leaves no listener', async () => {
  expect(await settleOnce(never, { signal, timeoutMs: 1, onTimeout })).toBe('late');
  const fail = (): never => {
    throw new Error('too late');
  };
  await expect(settleOnce(never, { signal, timeoutMs: 1, onTimeout: fail })).rejects.toThrow('too late');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('ends with the reason of its signal, or with the error made of it', async () => {
  const stopping = new AbortController();
  const waiting = settleOnce(never, { signal: stopping.signal, timeoutMs: 60_000, onTimeout });
  stopping.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
  const abortError = (aborted: AbortSignal): Error => new Error('cancelled', { cause: aborted.reason });
  await expect(settleOnce(never, { signal: stopping.signal, abortError })).rejects.toThrow('cancelled');
});

it('passes a result that is too late to `discard`', async () => {
  const slow = Promise.withResolvers<string>();
  const discarded: string[] = [];
  const discard = (late: string): void => void discarded.push(late);
  expect(await settleOnce(slow.promise, { signal, timeoutMs: 1, onTimeout, discard })).toBe('late');
  slow.resolve('late result');
  await slow.promise;
  expect(discarded).toEqual(['late result']);
});
