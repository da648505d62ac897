import { expect, it } from 'vitest';
import { daysInLinks, readDays, startOfDay } from './query.ts';

it('interprets days in the time zone of the reader: each from its beginning, the last one to its end', () => {
  const { times, days } = readDays({ from: '2026-03-28', to: '2026-03-29', zone: 'Europe/Berlin' });
  expect(times).toEqual({ since: Date.UTC(2026, 2, 27, 23), until: Date.UTC(2026, 2, 29, 22) });
  expect(daysInLinks(days)).toEqual({
    from: '2026-03-28',
    to: '2026-03-29',
    zone: 'Europe/Berlin',
    since: undefined,
    until: undefined,
  });
  expect(readDays({}).times).toEqual({});
  expect(daysInLinks(readDays({}).days)).toEqual({});
  expect(startOfDay('2026-01-01', 'UTC')).toBe(Date.UTC(2026, 0, 1));
  expect(startOfDay('2026-07-01', 'America/New_York')).toBe(Date.UTC(2026, 6, 1, 4));
  expect(startOfDay('2026-07-01', 'Asia/Kolkata')).toBe(Date.UTC(2026, 5, 30, 18, 30));
});

it('rejects invalid days and time zones', () => {
  expect(() => readDays({ from: '2026-02-30' })).toThrow('a day such as 2026-03-01');
  expect(() => readDays({ from: '2026-02-03', zone: 'Mars/Olympus' })).toThrow('a time zone such as');
});
