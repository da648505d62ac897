import type { Schedule } from '@dicom-dispatch/core';

const minuteMs = 60_000;
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
/** Windows repeat by the week; a day more for changes of daylight saving time. */
const horizonMinutes = 8 * 24 * 60;

/**
 * The earliest time (ms since 1970) from `now` on at which a delivery may start: `now` itself inside a window. Times of
 * day are those of the schedule's time zone, through changes of daylight saving time: a window in the hour that a
 * change skips begins after it.
 */
export function nextWindowAt(schedule: Schedule | undefined, now: number): number {
  if (!schedule) return now;
  if (isOpen(schedule, now)) return now;
  // Offsets from UTC change only at whole minutes, so whole minutes are enough to look at; coarse first, then exact.
  const start = Math.ceil(now / minuteMs) * minuteMs;
  for (let minute = 0; minute <= horizonMinutes; minute += 1) {
    const at = start + minute * minuteMs;
    if (isOpen(schedule, at)) return at;
  }
  return now;
}

export function isOpen(schedule: Schedule, at: number): boolean {
  const local = localTime(schedule.timeZone, at);
  return schedule.windows.some((window) => {
    const from = minutesOf(window.from);
    const to = minutesOf(window.to);
    const isOn = (day: number): boolean =>
      window.days === undefined || window.days.includes(days[(day + 7) % 7] ?? 'sun');
    if (from < to) return isOn(local.day) && local.minutes >= from && local.minutes < to;
    // Over midnight: the part before it belongs to its day, the part after it to the day before.
    return (isOn(local.day) && local.minutes >= from) || (isOn(local.day - 1) && local.minutes < to);
  });
}

function minutesOf(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}

const formats = new Map<string, Intl.DateTimeFormat>();

function localTime(timeZone: string, at: number): { day: number; minutes: number } {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      weekday: 'short',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
  const day = days.indexOf((parts.get('weekday') ?? 'Sun').toLowerCase() as (typeof days)[number]);
  return { day, minutes: Number(parts.get('hour')) * 60 + Number(parts.get('minute')) };
}
