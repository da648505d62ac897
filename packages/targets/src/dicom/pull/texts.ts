import type { DataSet } from 'dicom-dimse/dataset';

/** The values of a data set as texts, by keyword: several values separated by backslashes, groups of a name by `=`. */
export function textsOf(values: DataSet, keywords: Iterable<string>): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const keyword of keywords) {
    const text = textOf(values[keyword]);
    if (text !== undefined && text !== '') texts[keyword] = text;
  }
  return texts;
}

export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.map((one) => textOf(one) ?? '').join('\\');
  if (typeof value !== 'object' || value === null) return undefined;
  const { Alphabetic, Ideographic, Phonetic } = value as Record<string, unknown>;
  const groups = [Alphabetic, Ideographic, Phonetic].map((group) => textOf(group) ?? '');
  return groups.join('=').replace(/=+$/, '');
}

/** A number of instances; undefined if the receiver does not report it. */
export function countOf(value: unknown): number | undefined {
  const count = Number(textOf(value) || Number.NaN);
  return Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}
