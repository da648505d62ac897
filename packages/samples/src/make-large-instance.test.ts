import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { makeLargeInstance } from './index.ts';

test('has the announced size, without ever being completely in memory', async () => {
  const large = makeLargeInstance({ sizeBytes: 200 * 1024 * 1024 });
  let sizeBytes = 0;
  let largest = 0;
  for await (const chunk of large) {
    sizeBytes += chunk.length;
    largest = Math.max(largest, chunk.length);
  }
  expect(sizeBytes).toBe(large.sizeBytes);
  expect(large.frames).toBe(100);
  expect(largest).toBeLessThanOrEqual(2 * 1024 * 1024);
});

test('is the same each time, and no two frames are', async () => {
  const large = makeLargeInstance({ sizeBytes: 1024 * 1024 });
  const hashes = async (): Promise<string[]> => {
    const all: string[] = [];
    for await (const chunk of large) all.push(createHash('sha256').update(chunk).digest('hex'));
    return all;
  };
  const first = await hashes();
  expect(await hashes()).toEqual(first);
  expect(new Set(first).size).toBe(large.frames + 1);
});

test('reports options that do not fit', () => {
  expect(() => makeLargeInstance({ sizeBytes: 2 ** 33 })).toThrow('at most 4 GiB');
});
