import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { parseTime, withLimit } from './options.ts';

describe('a time', () => {
  it.each([
    ['2026-03-01', Date.UTC(2026, 2, 1)],
    ['2028-02-29', Date.UTC(2028, 1, 29)],
    ['2026-03-01T07:00', Date.UTC(2026, 2, 1, 7)],
    ['2026-03-01T07:00Z', Date.UTC(2026, 2, 1, 7)],
    ['2026-03-01T07:00:05+01:00', Date.UTC(2026, 2, 1, 6, 0, 5)],
  ])('is a date: %s', (text, at) => {
    expect(parseTime(text)).toBe(at);
  });

  it('is an age', () => {
    const before = Date.now();
    expect(parseTime('2h')).toBeGreaterThanOrEqual(before - 7_200_000);
    expect(Number.isNaN(new Date(parseTime('9999999d')).getTime())).toBe(false);
  });

  it.each([
    '',
    ' ',
    '2026',
    '2026-02-31',
    '2026-06-31T10:00',
    '2026-13-01',
    '2026-00-10',
    '2026-01-00',
    '2026-1-1',
    '2026-01-01T10',
    '2026-01-01T25:00',
    '2026-01-01T10:00+99:00',
    '2026-01-01\u0000',
    '2026-01-01\n',
    '-5m',
    '1.5h',
    '5',
    '7 d',
    `${'9'.repeat(400)}d`,
  ])('is not %j', (text) => {
    expect(() => parseTime(text)).toThrow('an age such as');
  });
});

it.each(['0', '-1', '10001', '1e3', '0x10', ' 5', '', 'NaN', 'Infinity', '5.0'])('a limit is not %j', (text) => {
  const command = withLimit(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  expect(() => command.parse(['node', 'dispatch', `--limit=${text}`])).toThrow('a whole number from 1');
});
