/** A table for users: columns as wide as needed, numbers aligned right. */
export function formatTable(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  if (rows.length === 0) return '(none)';
  const texts = rows.map((row) =>
    row.map((cell) => (typeof cell === 'number' ? cell.toLocaleString('en-GB') : plain(cell))),
  );
  const widths = columns.map((column, at) => Math.max(column.length, ...texts.map((row) => widthOf(row[at] ?? ''))));
  const isNumber = columns.map((_, at) => rows.every((row) => typeof row[at] === 'number'));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => {
        const gap = ' '.repeat(Math.max(0, (widths[at] ?? 0) - widthOf(cell)));
        return isNumber[at] ? gap + cell : cell + gap;
      })
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.toUpperCase())), ...texts.map((row) => line(row))].join('\n');
}

/** Replaces control characters: the content of a tag must not control a terminal. */
export function plain(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}

/** Terminal columns; wide East Asian characters take two. */
function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += /[ᄀ-ᅟ⺀-꓏가-힣豈-﫿︰-﹯＀-｠￠-￦]/u.test(character) ? 2 : 1;
  return width;
}

export function ago(at: number | undefined, now = Date.now()): string {
  if (at === undefined) return '-';
  const seconds = Math.round(Math.abs(now - at) / 1000);
  const text =
    seconds < 60
      ? `${seconds}s`
      : seconds < 3600
        ? `${Math.floor(seconds / 60)}m`
        : seconds < 86_400
          ? `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`
          : `${Math.floor(seconds / 86_400)}d`;
  return at > now ? `in ${text}` : `${text} ago`;
}

/** Date and time of day in UTC, as `2026-03-01 07:00:05Z`. */
export function utcTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}
