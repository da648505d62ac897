import { expect, test } from 'vitest';
import { zonedDate } from './zoned-date.ts';

test('returns the same as the date itself, in every zone and on both sides of a clock change', () => {
  for (const text of [
    '2026-03-29T00:59:59Z',
    '2026-03-29T01:00:00Z',
    '2026-10-25T00:30:00Z',
    '2026-12-31T23:59:59.999Z',
  ]) {
    const date = new Date(text);
    for (const timeZone of ['UTC', 'Europe/Berlin', 'America/St_Johns', 'Pacific/Apia']) {
      expect(zonedDate(date).toLocaleString('en-US', { timeZone })).toBe(date.toLocaleString('en-US', { timeZone }));
    }
  }
});

test('is a timestamp of the same moment, made once', () => {
  const date = new Date('2026-03-29T01:00:00Z');
  expect(zonedDate(date)).toEqual(date);
  expect(zonedDate(date).constructor).toBe(Date);
  expect(zonedDate(date)).toBe(zonedDate(date));
  expect(() => zonedDate(date).toLocaleString('en-US', { timeZone: 'Nowhere' })).toThrow(RangeError);
});
