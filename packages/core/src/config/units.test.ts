import { expect, it } from 'vitest';
import { durationMs, formatBytes, formatDuration, Secret, sizeBytes } from '../index.ts';
import { inspect } from 'node:util';

it.each([
  ['250ms', 250],
  ['1.5s', 1500],
  ['2h', 7_200_000],
  [0, 0],
])('the duration %j is %d ms', (text, ms) => {
  expect(durationMs.parse(text)).toBe(ms);
});

it.each([5, '5', '5 s', '-1s', 's'])('%j is no duration', (text) => {
  expect(durationMs.safeParse(text).success).toBe(false);
});

it('sizes', () => {
  expect(sizeBytes.parse('64MB')).toBe(64_000_000);
  expect(sizeBytes.parse('1KiB')).toBe(1024);
  expect(sizeBytes.safeParse('64').success).toBe(false);
});

it('are shown for people', () => {
  expect([340, 5400, 65_000, 7_500_000, 90_061_000].map((ms) => formatDuration(ms))).toEqual([
    '340ms',
    '5.4s',
    '1m 5s',
    '2h 5m',
    '1d 1h',
  ]);
  expect([12, 1500, 999_999, 2_340_000_000].map((bytes) => formatBytes(bytes))).toEqual([
    '12 B',
    '1.50 kB',
    '1.00 MB',
    '2.34 GB',
  ]);
});

it('a secret is only visible through reveal', () => {
  const secret = new Secret('hunter2');
  expect(`${String(secret)} ${JSON.stringify({ secret })} ${inspect({ secret })}`).not.toContain('hunter2');
  expect(secret.reveal()).toBe('hunter2');
});
