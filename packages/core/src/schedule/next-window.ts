import type { Schedule } from '../config/schedule-config.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
const weekMinutes = 7 * 1440;
/** How far back a change of the clock that skips an hour is searched. */
const skippedMs = 3 * 60 * minuteMs;
const quarterMs = 15 * minuteMs;
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
/** Windows repeat by the week; two weeks, since a change of daylight saving time may swallow one. */
const horizonMs = 15 * 24 * 60 * minuteMs;

/**
 * The earliest time (ms since 1970) from `now` on at which a delivery may start: `now` itself inside a window, without a
 * schedule, and for one that is never open. Times of day are in the schedule's time zone, including changes of daylight
 * saving time: a window in a skipped hour begins after it, one entirely within it is open as much later, and one in a
 * repeated hour is open twice.
 */
export function nextWindowAt(schedule: Schedule | undefined, now: number): number {
  return nextStartAt(schedule ? [[schedule]] : [], now) ?? now;
}

/**
 * The earliest time from `now` on at which one schedule of every list is open: those of a target, and those of its
 * rules.
 *
 * @returns undefined if this never happens
 */
export function nextStartAt(lists: readonly (readonly Schedule[])[], now: number): number | undefined {
  if (lists.every((list) => list.some((schedule) => isOpen(schedule, now)))) return now;
  const zones = [...new Set(lists.flat().map(({ timeZone }) => timeZone))];
  // Offsets from UTC change only at whole minutes, so whole minutes are sufficient.
  let at = Math.ceil(now / minuteMs) * minuteMs;
  const end = now + horizonMs;
  while (at <= end) {
    const waits = lists.map((list) => Math.min(...list.map((schedule) => minutesUntilOpen(schedule, at))));
    const longest = Math.max(0, ...waits);
    if (longest === 0) return at;
    // Valid until the next change of the local clock. There it is read again: an hour may occur twice.
    const until = Math.min(at + longest * minuteMs, end + minuteMs);
    at = Math.min(until, ...zones.map((zone) => nextClockChange(zone, at, until) ?? until));
  }
  return undefined;
}

/** The first minute after `from`, up to `to`, at which the clocks of a time zone have been changed. */
function nextClockChange(timeZone: string, from: number, to: number): number | undefined {
  const before = offsetMinutes(timeZone, from);
  // No zone changes its clocks twice in a day; longer intervals are processed day by day.
  for (let start = from; start < to; start += dayMs) {
    let low = start;
    let high = Math.min(to, start + dayMs);
    if (offsetMinutes(timeZone, high) === before) continue;
    while (high - low > minuteMs) {
      const middle = low + Math.floor((high - low) / 2 / minuteMs) * minuteMs;
      if (offsetMinutes(timeZone, middle) === before) low = middle;
      else high = middle;
    }
    return high;
  }
  return undefined;
}

/** By how many minutes the local clock is ahead of UTC, modulo a week. */
function offsetMinutes(timeZone: string, at: number): number {
  return offsetOf(localTime(timeZone, at), at);
}

const former = new Map<string, { readonly quarter: number; readonly offset: number }>();

/** The same for a quarter of an hour: clocks are changed at its beginning. The last one of each zone is cached. */
function formerOffset(timeZone: string, at: number): number {
  const quarter = Math.floor(at / quarterMs);
  const known = former.get(timeZone);
  if (known?.quarter === quarter) return known.offset;
  const offset = offsetMinutes(timeZone, quarter * quarterMs);
  former.set(timeZone, { quarter, offset });
  return offset;
}

function offsetOf({ day, minutes }: { readonly day: number; readonly minutes: number }, at: number): number {
  const utc = new Date(at);
  const local = day * 1440 + minutes - (utc.getUTCDay() * 1440 + utc.getUTCHours() * 60 + utc.getUTCMinutes());
  return ((local % weekMinutes) + weekMinutes) % weekMinutes;
}

export function isOpen(schedule: Schedule, at: number): boolean {
  return minutesUntilOpen(schedule, at) === 0;
}

/** Minutes of the local clock until it is open: 0 when it is, Infinity for a schedule without windows. */
function minutesUntilOpen(schedule: Schedule, at: number): number {
  const local = localTime(schedule.timeZone, at);
  const skipped = skippedBefore(schedule.timeZone, at, local);
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
    if (skipped && isOn(local.day) && from >= skipped.from && from < to && to <= skipped.to) {
      const wait = from - skipped.nowByFormer;
      if (wait <= 0 && skipped.nowByFormer < to) return 0;
      if (wait > 0) least = Math.min(least, wait);
    }
    for (let ahead = 0; ahead <= 7; ahead += 1) {
      const wait = ahead * 1440 + from - local.minutes;
      if (wait <= 0 || !isOn(local.day + ahead)) continue;
      least = Math.min(least, wait);
      break;
    }
  }
  return least;
}

/**
 * The local times of this day that a change of the clock in the last hours has skipped, in minutes, and what time it would be
 * without the change.
 */
function skippedBefore(
  timeZone: string,
  at: number,
  local: { readonly day: number; readonly minutes: number },
): { readonly from: number; readonly to: number; readonly nowByFormer: number } | undefined {
  const { minutes } = local;
  const by = (offsetOf(local, at) - formerOffset(timeZone, at - skippedMs) + weekMinutes) % weekMinutes;
  if (by === 0 || by > 180 || minutes < by) return undefined;
  const changedAt = nextClockChange(timeZone, at - skippedMs, at);
  if (changedAt === undefined) return undefined;
  const to = localTime(timeZone, changedAt).minutes;
  return { from: to - by, to, nowByFormer: minutes - by };
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
