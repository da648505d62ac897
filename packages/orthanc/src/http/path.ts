import { OrthancError } from '../orthanc-error.ts';

/** A path with every value percent-encoded, and its query string apart, so that errors can name the one without the other. */
export interface Target {
  path: string;
  /** Empty, or `?` and what follows. */
  query: string;
}

export type QueryValue = string | number | boolean | undefined;

/**
 * Builds a path: `` path`/studies/${id}/archive` ``. No value can leave its segment.
 *
 * @throws OrthancError `bad-request` for an empty value, `.` or `..`.
 */
export function path(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.reduce((whole, part, index) => whole + segment(values[index - 1] as string) + part);
}

/** Adds a query string; a value of `true` is a bare name (`?expand`), `false` and undefined are left out. */
export function target(path: string, query: Readonly<Record<string, QueryValue>> = {}): Target {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue;
    pairs.push(value === true ? name : `${name}=${encodeURIComponent(value)}`);
  }
  return { path, query: pairs.length === 0 ? '' : `?${pairs.join('&')}` };
}

function segment(value: string): string {
  if (value === '' || value === '.' || value === '..') {
    throw new OrthancError(
      'bad-request',
      `${JSON.stringify(value)} cannot stand in a path; give an identifier or a name`,
    );
  }
  return encodeURIComponent(value);
}
