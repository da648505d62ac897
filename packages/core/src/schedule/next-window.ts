import type { Schedule } from '../config/schedule-config.ts';

const minuteMs = 60_000;
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
/** Windows repeat by the week; two weeks, since a change of daylight saving time may swallow one. */
const horizonMs = 15 * 24 * 60 * minuteMs;
/** Clocks are changed by an hour or two; jumps end this much before the next window, and the rest is walked. */
const clockChangeMinutes = 3 * 60;

/**
 * The earliest time (ms since 1970) from `now` on at which a delivery may start: `now` itself inside a window. Times of
 * day are those of the schedule's time zone, through changes of daylight saving time: a window in the hour that a
 * change skips begins after it, and one in the hour that comes twice is open twice.
 */
export function nextWindowAt(schedule: Schedule | undefined, now: number): number {
  return nextStartAt(schedule ? [[schedule]] : [], now) ?? now;
}

/**
 * The earliest time from `now` on at which one schedule of every list is open: those of a target, and those of the rules
 * that want it.
 *
 * @returns undefined when that never happens
 */
export function nextStartAt(lists: readonly (readonly Schedule[])[], now: number): number | undefined {
  if (lists.every((list) => list.some((schedule) => isOpen(schedule, now)))) return now;
  // Offsets from UTC change only at whole minutes, so whole minutes are enough to look at.
  let at = Math.ceil(now / minuteMs) * minuteMs;
  while (at <= now + horizonMs) {
    const waits = lists.map((list) => Math.min(...list.map((schedule) => minutesUntilOpen(schedule, at))));
    const longest = Math.max(0, ...waits);
    if (longest === 0) return at;
    at += Math.max(1, longest - clockChangeMinutes) * minuteMs;
  }
  return undefined;
}

export function isOpen(schedule: Schedule, at: number): boolean {
  return minutesUntilOpen(schedule, at) === 0;
}

/** Minutes of the local clock until it is open: 0 when it is, Infinity for a schedule without windows. */
function minutesUntilOpen(schedule: Schedule, at: number): number {
  const local = localTime(schedule.timeZone, at);
  let least = Infinity;
  for (const window of schedule.windows) {
    const from = minutesOf(window.from);
    const to = minutesOf(window.to);
    const isOn = (day: number): boolean =>
      window.days === undefined || window.days.includes(days[(day + 7) % 7] ?? 'sun');
    // Over midnight: the part before it belongs to its day, the part after it to the day before.
    const isInside =
      from < to
        ? isOn(local.day) && local.minutes >= from && local.minutes < to
        : (isOn(local.day) && local.minutes >= from) || (isOn(local.day - 1) && local.minutes < to);
    if (isInside) return 0;
    for (let ahead = 0; ahead <= 7; ahead += 1) {
      const wait = ahead * 1440 + from - local.minutes;
      if (wait <= 0 || !isOn(local.day + ahead)) continue;
      least = Math.min(least, wait);
      break;
    }
  }
  return least;
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
