import { describe, expect, it } from 'vitest';
import { schedule, type Schedule } from '../config/schedule-config.ts';
import { isOpen, nextStartAt, nextWindowAt } from './next-window.ts';

const berlin = (...windows: object[]): ReturnType<typeof schedule.parse> =>
  schedule.parse({ timeZone: 'Europe/Berlin', windows });
const at = (text: string): number => Date.parse(text);
const next = (windows: object[], now: string): string =>
  new Date(nextWindowAt(berlin(...windows), at(now))).toISOString().replace('.000Z', 'Z');

describe('a window', () => {
  it.each([
    ['inside: now', [{ from: '20:00', to: '22:00' }], '2024-06-03T19:59:59Z', '2024-06-03T19:59:59Z'],
    ['before it: its start', [{ from: '20:00', to: '22:00' }], '2024-06-03T10:00:30Z', '2024-06-03T18:00:00Z'],
    ['its end is not in it', [{ from: '20:00', to: '22:00' }], '2024-06-03T20:00:00Z', '2024-06-04T18:00:00Z'],
    ['over midnight', [{ from: '22:00', to: '06:00' }], '2024-06-03T01:30:00Z', '2024-06-03T01:30:00Z'],
    ['until 24:00', [{ from: '22:00', to: '24:00' }], '2024-06-03T21:59:00Z', '2024-06-03T21:59:00Z'],
    ['a weekday', [{ days: ['sat'], from: '08:00', to: '12:00' }], '2024-06-03T10:00:00Z', '2024-06-08T06:00:00Z'],
    [
      'this very weekday, past',
      [{ days: ['mon'], from: '08:00', to: '09:00' }],
      '2024-06-03T10:00:00Z',
      '2024-06-10T06:00:00Z',
    ],
    [
      'over midnight it belongs to the day on which it begins',
      [{ days: ['fri'], from: '22:00', to: '06:00' }],
      '2024-06-08T03:00:00Z',
      '2024-06-08T03:00:00Z',
    ],
  ])('%s', (_name, windows, now, expected) => {
    expect(next(windows, now)).toBe(expected);
  });
});

describe('daylight saving time in Berlin', () => {
  it('the clock goes forward: a window in the skipped hour begins after it', () => {
    // 2024-03-31: 02:00 is 03:00.
    expect(next([{ from: '02:30', to: '04:00' }], '2024-03-31T00:00:00Z')).toBe('2024-03-31T01:00:00Z');
    expect(next([{ from: '01:00', to: '02:30' }], '2024-03-31T00:59:00Z')).toBe('2024-03-31T00:59:00Z');
    expect(next([{ from: '02:10', to: '02:50' }], '2024-03-30T12:00:00Z')).toBe('2024-03-31T01:10:00Z');
  });

  it('the clock goes back: the repeated hour is open twice', () => {
    // 2024-10-27: 03:00 is 02:00.
    const twice = berlin({ from: '02:00', to: '03:00' });
    expect(isOpen(twice, at('2024-10-27T00:30:00Z'))).toBe(true);
    expect(isOpen(twice, at('2024-10-27T01:30:00Z'))).toBe(true);
    expect(isOpen(twice, at('2024-10-27T02:00:00Z'))).toBe(false);
  });

  it('a start in the evening stays at its time of day through the change, far ahead too', () => {
    const evening = [{ days: ['sun'], from: '20:00', to: '23:00' }];
    expect(next(evening, '2024-03-25T12:00:00Z')).toBe('2024-03-31T18:00:00Z');
    expect(next(evening, '2024-10-21T12:00:00Z')).toBe('2024-10-27T19:00:00Z');
  });

  it('is what looking at every minute would find', () => {
    for (const from of ['01:50', '02:15', '03:05', '23:40']) {
      for (const day of ['2024-03-30', '2024-10-26']) {
        const one = berlin({ from, to: '04:00' });
        for (let hour = 0; hour < 48; hour += 5) {
          const now = at(`${day}T00:00:00Z`) + hour * 3_600_000;
          let slow = now;
          while (!isOpen(one, slow)) slow += 60_000;
          expect(nextWindowAt(one, now)).toBe(slow);
        }
      }
    }
  });
});

describe('windows of a target and of rules', () => {
  it('have to be open together', () => {
    const target = berlin({ from: '20:00', to: '24:00' });
    const rules = [berlin({ from: '08:00', to: '12:00' }), berlin({ days: ['wed'], from: '22:00', to: '23:00' })];
    const found = nextStartAt([[target], rules], at('2024-06-03T10:00:00Z'));
    expect(new Date(found ?? 0).toISOString()).toBe('2024-06-05T20:00:00.000Z');
  });

  it('may never be', () => {
    const lists = [[berlin({ from: '20:00', to: '21:00' })], [berlin({ from: '08:00', to: '09:00' })]];
    expect(nextStartAt(lists, at('2024-06-03T10:00:00Z'))).toBeUndefined();
  });
});

it('a window within a skipped hour is open as much later, and not a week later', () => {
  // The night of 29 March 2026: at 02:00 the clocks of Berlin go to 03:00, which is 01:00 UTC.
  const skipped = berlin({ days: ['sun'], from: '02:30', to: '02:45' });
  for (const now of ['2026-03-28T20:00:00Z', '2026-03-29T00:59:00Z', '2026-03-29T01:10:00Z']) {
    expect(new Date(nextWindowAt(skipped, at(now))).toISOString()).toBe('2026-03-29T01:30:00.000Z');
  }
  expect(isOpen(skipped, at('2026-03-29T01:44:00Z'))).toBe(true);
  expect(isOpen(skipped, at('2026-03-29T01:45:00Z'))).toBe(false);
  expect(isOpen(skipped, at('2026-04-05T01:30:00Z'))).toBe(false);
  const across = berlin({ from: '02:30', to: '03:30' });
  expect(new Date(nextWindowAt(across, at('2026-03-29T00:00:00Z'))).toISOString()).toBe('2026-03-29T01:00:00.000Z');
  expect(isOpen(across, at('2026-03-29T01:30:00Z'))).toBe(false);
});

describe('a repeated hour', () => {
  /** The night of 5 April 2026: at 03:00 the clocks of Melbourne go back to 02:00, which is 16:00 UTC of the day before. */
  const melbourne = (from: string, to: string): Schedule => ({
    timeZone: 'Australia/Melbourne',
    windows: [{ from, to }],
  });
  const next = (schedule: Schedule, now: string): string =>
    new Date(nextWindowAt(schedule, Date.parse(now))).toISOString();

  it('has its windows twice', () => {
    const short = melbourne('02:30', '02:45');
    expect(next(short, '2026-04-04T15:00:00Z')).toBe('2026-04-04T15:30:00.000Z');
    expect(next(short, '2026-04-04T15:46:00Z')).toBe('2026-04-04T16:30:00.000Z');
    expect(next(short, '2026-04-04T16:46:00Z')).toBe('2026-04-05T16:30:00.000Z');
  });

  it('is met by jumps of any length', () => {
    for (const minutes of [1, 7, 59, 61, 1441, 9 * 1440]) {
      const now = new Date(Date.parse('2026-04-04T16:29:00Z') - minutes * 60_000);
      const expected = next(melbourne('02:30', '02:45'), now.toISOString());
      expect(Date.parse(expected)).toBeGreaterThanOrEqual(now.getTime());
      expect(isOpen(melbourne('02:30', '02:45'), Date.parse(expected))).toBe(true);
    }
    const onlySunday: Schedule = {
      timeZone: 'Australia/Melbourne',
      windows: [{ days: ['sun'], from: '02:50', to: '02:55' }],
    };
    expect(next(onlySunday, '2026-04-04T15:56:00Z')).toBe('2026-04-04T16:50:00.000Z');
  });

  it('never opens later than a walk by minutes finds', () => {
    const zones = ['Australia/Melbourne', 'Europe/Berlin', 'America/New_York', 'Australia/Lord_Howe', 'UTC'];
    const starts = ['2026-04-03T12:00:00Z', '2026-03-28T20:00:00Z', '2026-10-24T20:00:00Z', '2026-10-03T10:00:00Z'];
    for (const timeZone of zones) {
      for (const [index, start] of starts.entries()) {
        const schedule: Schedule = { timeZone, windows: [{ from: `0${index}:40`, to: `0${index}:50` }] };
        for (let hours = 0; hours < 60; hours += 13) {
          const now = Date.parse(start) + hours * 3_600_000;
          let walked = now;
          while (!isOpen(schedule, walked)) walked += 60_000;
          expect(nextWindowAt(schedule, now), `${timeZone} ${new Date(now).toISOString()}`).toBe(walked);
        }
      }
    }
  });
});
