import type { ManifestInstance } from '@dicom-dispatch/core';
import { expect, it } from 'vitest';
import { InstanceRooms } from './instance-rooms.ts';
import { MemoryBudget } from './memory-budget.ts';

const { signal } = new AbortController();
const mebibyte = 1024 * 1024;
const instance = (sourceId: string, sizeBytes: number): ManifestInstance =>
  ({ sourceId, sizeBytes }) as ManifestInstance;

it('reserves the memory of an instance until its end or, if it is kept, its release', async () => {
  const budget = new MemoryBudget(100 * mebibyte);
  const rooms = new InstanceRooms(budget.share(), 8 * mebibyte);
  const [small, large] = [
    await rooms.take(instance('a', 20_000), signal),
    await rooms.take(instance('b', 1e9), signal),
  ];
  expect(budget.usedBytes).toBe(20_000 + 8 * mebibyte);
  small.ended();
  large.keep();
  large.ended();
  expect(budget.usedBytes).toBe(8 * mebibyte);
  large.release();
  large.release();
  expect(budget.usedBytes).toBe(0);
});

it('does not wait when an instance is opened a second time while it holds memory', async () => {
  const budget = new MemoryBudget(mebibyte);
  const rooms = new InstanceRooms(budget.share());
  const first = await rooms.take(instance('a', 1e9), signal);
  const second = await rooms.take(instance('a', 1e9), signal);
  second.release();
  expect(budget.usedBytes).toBe(mebibyte);
  const other = rooms.take(instance('b', 1e9), signal);
  first.release();
  (await other).release();
  expect(budget.usedBytes).toBe(0);
});
