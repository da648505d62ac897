import { z } from 'zod';

/** When deliveries may start: windows of local time by weekday. */
export const schedule = z.strictObject({
  timeZone: z
    .string()
    .refine((zone) => isTimeZone(zone), 'not a time zone of the IANA database, e.g. Europe/Berlin')
    .default('UTC')
    .describe('IANA time zone of the windows'),
  windows: z
    .array(
      z.strictObject({
        days: z
          .array(z.enum(['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']))
          .min(1)
          .optional()
          .describe('weekdays; default: all'),
        from: z
          .string()
          .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'a time of day is HH:MM')
          .describe('start, HH:MM'),
        to: z
          .string()
          .regex(/^(([01]\d|2[0-3]):[0-5]\d|24:00)$/, 'a time of day is HH:MM')
          .describe('end, HH:MM; earlier than from: the window spans midnight'),
      }),
    )
    .min(1)
    .describe('time windows in which deliveries may start'),
});
export type Schedule = z.output<typeof schedule>;

function isTimeZone(zone: string): boolean {
  try {
    Intl.DateTimeFormat('en', { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
