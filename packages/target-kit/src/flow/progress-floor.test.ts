import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { ProgressFloor } from './progress-floor.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function floor(more: object = {}) {
  const seen: string[] = [];
  const options = { minBytesPerSecond: 1_000, windowMs: 10_000, silenceMs: 4_000 };
  const callbacks = { onSlow: () => void seen.push('slow'), onSilent: () => void seen.push('silent') };
  return { seen, floor: new ProgressFloor({ ...options, ...callbacks, ...more }) };
}

it('detects a stall while requests are running, and none otherwise', () => {
  const { seen, floor: one } = floor({ minBytesPerSecond: 0 });
  vi.advanceTimersByTime(60_000);
  one.begin();
  vi.advanceTimersByTime(3_900);
  one.end(1);
  vi.advanceTimersByTime(60_000);
  one.begin();
  one.begin();
  vi.advanceTimersByTime(3_000);
  one.end(1);
  vi.advanceTimersByTime(3_000);
  expect(seen).toEqual([]);
  vi.advanceTimersByTime(1_100);
  expect(seen).toEqual(['silent']);
});

it('detects a peer that always responds but is too slow, and accepts one that is fast enough', () => {
  const slow = floor();
  slow.floor.begin();
  for (let second = 0; second < 9; second += 3) {
    slow.floor.begin();
    vi.advanceTimersByTime(3_000);
    slow.floor.end(1);
  }
  vi.advanceTimersByTime(2_000);
  expect(slow.seen).toEqual([]);
  const slower = floor({ minBytesPerSecond: 2_000 });
  slower.floor.begin();
  for (let second = 0; second < 9; second += 3) {
    slower.floor.begin();
    vi.advanceTimersByTime(3_000);
    slower.floor.end(1);
  }
  vi.advanceTimersByTime(1_100);
  expect(slower.seen).toEqual(['slow']);
});
