const formats = new Map<string, Intl.DateTimeFormat>();
const zoned = new WeakMap<Date, Date>();

/**
 * The same moment for CEL, with fast access to its hour in a time zone: the interpreter calls `toLocaleString` for
 * each access, which creates a new formatter each time (about 200 microseconds). Here formatters are cached, and the
 * results for a moment, which hundreds of rules need.
 */
export function zonedDate(date: Date): Date {
  const known = zoned.get(date);
  if (known) return known;
  const copy = new Date(date);
  const texts = new Map<string, string>();
  // An own property: CEL recognises a timestamp by its exact class.
  Object.defineProperty(copy, 'toLocaleString', {
    value(locale?: string, options?: Intl.DateTimeFormatOptions): string {
      const timeZone = options?.timeZone;
      if (timeZone === undefined) return date.toLocaleString(locale, options);
      const text = texts.get(timeZone) ?? formatOf(timeZone).format(date);
      texts.set(timeZone, text);
      return text;
    },
  });
  zoned.set(date, copy);
  return copy;
}

/** Result of `toLocaleString('en-US', { timeZone })`. @throws RangeError if the zone does not exist */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric' } as const;
  const time = { hour: 'numeric', minute: 'numeric', second: 'numeric' } as const;
  const format = new Intl.DateTimeFormat('en-US', { timeZone, ...numeric, ...time });
  formats.set(timeZone, format);
  return format;
}
