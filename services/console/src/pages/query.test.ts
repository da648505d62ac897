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

it.each([
  ['Europe/Berlin', '2026-03-29', '2026-03-28T23:00Z', 23],
  ['Europe/Berlin', '2026-10-25', '2026-10-24T22:00Z', 25],
  // Midnight does not exist on these days, west and east of Greenwich.
  ['America/Havana', '2026-03-08', '2026-03-08T05:00Z', 23],
  ['America/Santiago', '2026-09-06', '2026-09-06T04:00Z', 23],
  ['Africa/Cairo', '2026-04-24', '2026-04-23T22:00Z', 23],
  // Midnight, or the hour before it, occurs twice on these days.
  ['America/Havana', '2026-11-01', '2026-11-01T04:00Z', 25],
  ['Africa/Cairo', '2026-10-29', '2026-10-28T21:00Z', 25],
  ['Australia/Lord_Howe', '2026-04-05', '2026-04-04T13:00Z', 24.5],
])('a day on which the clock changes in %s, %s, begins %s', (zone, day, begins, hours) => {
  const { since = 0, until = 0 } = readDays({ from: day, to: day, zone }).times;
  expect([new Date(since), (until - since) / 3_600_000]).toEqual([new Date(begins), hours]);
});

it('rejects invalid days and time zones', () => {
  expect(() => readDays({ from: '2026-02-30' })).toThrow('a day such as 2026-03-01');
  expect(() => readDays({ from: '2026-02-03', zone: 'Mars/Olympus' })).toThrow('a time zone such as');
});
