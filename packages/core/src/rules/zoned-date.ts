const formats = new Map<string, Intl.DateTimeFormat>();
const zoned = new WeakMap<Date, Date>();

/**
 * The same moment for CEL, quick to ask for its hour in a time zone: the interpreter formats it with `toLocaleString` for
 * each question, and that makes a new formatter each time (some 200 microseconds). Here formatters are kept, and what was
 * formatted of a moment, which hundreds of rules ask alike.
 */
export function zonedDate(date: Date): Date {
  const known = zoned.get(date);
  if (known) return known;
  const copy = new Date(date);
  const texts = new Map<string, string>();
  // An own property: CEL knows a timestamp by its very class.
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

/** What `toLocaleString('en-US', { timeZone })` writes. @throws RangeError when there is no such zone */
function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known) return known;
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric' } as const;
  const time = { hour: 'numeric', minute: 'numeric', second: 'numeric' } as const;
  const format = new Intl.DateTimeFormat('en-US', { timeZone, ...numeric, ...time });
  formats.set(timeZone, format);
  return format;
}
