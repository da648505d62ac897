/**
 * A line of CSV (RFC 4180) with its end: cells are quoted if needed; a value that a spreadsheet would interpret as a formula
 * gets a leading apostrophe.
 */
export function csvLine(cells: readonly (string | number | undefined)[]): string {
  return `${cells.map((cell) => field(cell === undefined ? '' : String(cell))).join(',')}\r\n`;
}

function field(text: string): string {
  const safe = /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
