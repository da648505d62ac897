const longestMs = 24 * 3_600_000;

/** The wait in milliseconds that a `Retry-After` header requests (RFC 9110 section 10.2.3), at most a day; undefined without one. */
export function retryAfterMs(header: string | readonly string[] | undefined, nowMs = Date.now()): number | undefined {
  const text = typeof header === 'string' ? header.trim() : undefined;
  if (!text) return undefined;
  if (/^\d{1,100}$/.test(text)) return Math.min(Number(text) * 1000, longestMs);
  // `Date.parse` accepts almost any text: HTTP dates begin with a day of the week.
  const dateMs = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.min(Math.max(dateMs - nowMs, 0), longestMs);
}
