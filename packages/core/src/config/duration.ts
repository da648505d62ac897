import { z } from 'zod';

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const durationWords = 'a duration is a number with a unit: 250ms, 30s, 5m, 2h or 7d';

/**
 * A duration in a configuration file: a number with a unit (`250ms`, `30s`, `5m`, `2h`, `7d`), in milliseconds.
 * A bare `0` is allowed and usually means "off" or "no limit"; any other number without a unit is rejected.
 */
export const durationMs = z
  .union([z.string().regex(/^\d+(\.\d+)?(ms|s|m|h|d)$/, durationWords), z.literal(0)], { error: durationWords })
  .transform((text) => parseDurationMs(text))
  .meta({ unit: 'duration' });

function parseDurationMs(text: string | 0): number {
  if (text === 0) return 0;
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (!match) return 0;
  return Math.round(Number(match[1]) * unitMs[match[2] as keyof typeof unitMs]);
}

/** A long duration in a configuration file: days or years (`90d`, `5y`; a year has 365.25 days), in milliseconds. */
export const ageMs = z
  .string()
  .regex(/^\d+(\.\d+)?[dy]$/, 'an age is a number with a unit: 90d or 5y')
  .transform((text) => Math.round(Number(text.slice(0, -1)) * (text.endsWith('y') ? 365.25 : 1) * unitMs.d))
  .meta({ unit: 'duration' });

/** A time of {@link ageMs} for people, as it is written: `5y`, `90d`. */
export function formatAge(ms: number): string {
  const years = ms / (365.25 * unitMs.d);
  return Number.isInteger(years * 4) ? `${years}y` : `${Math.round(ms / unitMs.d)}d`;
}

/** A duration for people: two units at most, e.g. `2h 5m`, `340ms`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)}s`;
  const s = Math.round(ms / 1000);
  if (s < 60) return `${s}s`;
  if (s < 3600) return s % 60 === 0 ? `${s / 60}m` : `${Math.floor(s / 60)}m ${s % 60}s`;
  if (s < 86_400) return `${Math.floor(s / 3600)}h ${Math.floor((s % 3600) / 60)}m`;
  return `${Math.floor(s / 86_400)}d ${Math.floor((s % 86_400) / 3600)}h`;
}
