import { z } from 'zod';
import { html, type Html } from './html.ts';

/** A URL query as submitted by forms: an empty field counts as missing. */
export function emptyAsMissing(query: unknown): Record<string, unknown> {
  if (typeof query !== 'object' || query === null) return {};
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== ''));
}

const dayMs = 86_400_000;
const day = z.iso.date('a day such as 2026-03-01').optional();
const zone = z
  .string()
  .max(64)
  .default('UTC')
  .refine((name) => isZone(name), 'a time zone such as Europe/Berlin');

/** Days of a form in the time zone of the user, which the script of the page adds; without the script in UTC. */
const dayRange = z.object({ from: day, to: day, zone });
export type DayRange = z.infer<typeof dayRange>;

/** The days in a URL, and their times (ms since 1970); explicit `since` and `until` take precedence. */
export function readDays(query: Readonly<Record<string, unknown>>): {
  readonly days: DayRange;
  readonly times: { readonly since?: number; readonly until?: number };
} {
  const days = dayRange.parse(query);
  return {
    days,
    times: {
      ...(days.from !== undefined && { since: startOfDay(days.from, days.zone) }),
      ...(days.to !== undefined && { until: startOfDay(dayAfter(days.to), days.zone) }),
    },
  };
}

/** Parameters of a link with the same days: they replace `since` and `until`. */
export function daysInLinks({ from, to, zone: name }: DayRange): Record<string, string | undefined> {
  if (from === undefined && to === undefined) return {};
  return {
    from,
    to,
    zone: name,
    ...(from !== undefined && { since: undefined }),
    ...(to !== undefined && { until: undefined }),
  };
}

/** Fields for two days in a filter; the script of the page adds the time zone of the user. */
export function dayFields(label: string, { from, to, zone: name }: DayRange): Html {
  return html`<label class="field"><span>${label} from</span><input type="date" name="from" value="${from}" /></label>
    <label class="field"><span>until</span><input type="date" name="to" value="${to}" /></label>
    <input type="hidden" name="zone" value="${name}" data-zone-field />`;
}

/** When a day (YYYY-MM-DD) begins in a time zone, ms since 1970. */
export function startOfDay(date: string, timeZone: string): number {
  const local = Date.parse(`${date}T00:00:00Z`);
  // The offsets before and after a change of the clock, which may skip or repeat midnight.
  const offsets = [local - dayMs, local + dayMs].map((at) => offsetMs(at, timeZone));
  const starts = offsets.map((offset) => local - offset).toSorted((one, other) => one - other);
  return starts.find((at) => at + offsetMs(at, timeZone) >= local) ?? local;
}

function offsetMs(at: number, timeZone: string): number {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' }).formatToParts(at);
  const text = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
  const [, sign, hours, minutes] = /([+-])(\d{2}):(\d{2})/.exec(text) ?? [];
  if (sign === undefined) return 0;
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}

function dayAfter(date: string): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + dayMs).toISOString().slice(0, 10);
}

function isZone(name: string): boolean {
  try {
    return Number.isFinite(offsetMs(0, name));
  } catch {
    return false;
  }
}
