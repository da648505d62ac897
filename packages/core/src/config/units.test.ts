import { expect, it } from 'vitest';
import { durationMs, formatBytes, formatDuration, Secret, sizeBytes } from '../index.ts';
import { ageMs, formatAge } from './duration.ts';
import { inspect } from 'node:util';

const dayMs = 86_400_000;

it.each([
  ['250ms', 250],
  ['1.5s', 1500],
  ['12m', 720_000],
  ['2h', 7_200_000],
  ['7d', 7 * dayMs],
  ['0.4ms', 0],
  [0, 0],
])('the duration %j is %d ms', (text, ms) => {
  expect(durationMs.parse(text)).toBe(ms);
});

it.each([5, '5', '5 s', '-1s', 's', '1.s', '1s2', 'x1s', '1y', null])('%j is no duration', (text) => {
  expect(durationMs.safeParse(text).error?.message).toContain('a duration is a number with a unit');
});

it.each([
  ['90d', 90 * dayMs],
  ['0.5d', dayMs / 2],
  ['1y', 365.25 * dayMs],
  ['2.5y', 913.125 * dayMs],
])('the age %j is %d ms', (text, ms) => {
  expect(ageMs.parse(text)).toBe(ms);
});

it.each(['5', '5h', '5 y', 'y', '1y2', 'x1y'])('%j is no age', (text) => {
  expect(ageMs.safeParse(text).error?.message).toContain('an age is a number with a unit');
});

it('an age is shown as it was written', () => {
  expect(['5y', '90d', '0.5y', '2.25y', '400d'].map((text) => formatAge(ageMs.parse(text)))).toEqual([
    '5y',
    '90d',
    '0.5y',
    '2.25y',
    '400d',
  ]);
});

it.each([
  ['64MB', 64_000_000],
  ['1KiB', 1024],
  ['500kB', 500_000],
  ['2GB', 2e9],
  ['3MiB', 3 * 1024 ** 2],
  ['1.5GiB', 1.5 * 1024 ** 3],
  ['7B', 7],
  ['0.4B', 0],
  [0, 0],
])('the size %j is %d bytes', (text, bytes) => {
  expect(sizeBytes.parse(text)).toBe(bytes);
});

it.each(['64', '64 MB', '64mb', 'MB', '1MB2', 'x1MB', 64])('%j is no size', (text) => {
  expect(sizeBytes.safeParse(text).error?.message).toContain('a size is a number with a unit');
});

it.each([
  [340, '340ms'],
  [999.4, '999ms'],
  [1000, '1.0s'],
  [5400, '5.4s'],
  [10_000, '10s'],
  [59_400, '59s'],
  [60_000, '1m'],
  [65_000, '1m 5s'],
  [3_599_000, '59m 59s'],
  [3_600_000, '1h 0m'],
  [7_500_000, '2h 5m'],
  [86_399_000, '23h 59m'],
  [86_400_000, '1d 0h'],
  [90_061_000, '1d 1h'],
])('%d ms are shown as %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

it.each([
  [12, '12 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [1500, '1.50 kB'],
  [10_000, '10.0 kB'],
  [999_949, '999.9 kB'],
  [999_999, '1.00 MB'],
  [2_340_000_000, '2.34 GB'],
  [1e12, '1.00 TB'],
  [5e15, '5.00 PB'],
  [5e18, '5000.0 PB'],
])('%d bytes are shown as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it('a secret is only visible through reveal', () => {
  const secret = new Secret('hunter2');
  const shown = `${String(secret)} ${JSON.stringify({ secret })} ${inspect({ secret })}`;
  expect(shown).toBe('[secret] {"secret":"[secret]"} { secret: [secret] }');
  expect(secret.reveal()).toBe('hunter2');
});
