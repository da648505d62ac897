import { OrthancError } from '../orthanc-error.ts';
import { isJobId, isResourceId } from '../orthanc-id.ts';

/** A path with every value percent-encoded, separate from its query string, which errors must not contain. */
export interface Target {
  path: string;
  /** Empty, or `?` and what follows. */
  query: string;
}

export type QueryValue = string | number | boolean | undefined;

/** The segment before an identifier, and the grammar of that identifier. */
const grammars: Readonly<Record<string, (value: string) => boolean>> = {
  patients: isResourceId,
  studies: isResourceId,
  series: isResourceId,
  instances: isResourceId,
  jobs: isJobId,
  queries: isJobId,
};

/**
 * Builds a path: `` path`/studies/${id}/archive` ``. No value can leave its segment: Orthanc decodes `%2F` before it splits
 * a path. A value after `studies`, `jobs` and similar must be an Orthanc id.
 *
 * @throws OrthancError `bad-request` for an empty value, one of dots only, or one with `/`, `\`, `%` or a control character
 */
export function path(parts: TemplateStringsArray, ...values: readonly string[]): string {
  return parts.reduce((whole, part, index) => whole + segment(whole, values[index - 1] as string) + part);
}

/** Adds a query string; a value of `true` is a bare name (`?expand`), `false` and undefined are omitted. */
export function target(path: string, query: Readonly<Record<string, QueryValue>> = {}): Target {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === false) continue;
    pairs.push(value === true ? name : `${name}=${encodeURIComponent(value)}`);
  }
  return { path, query: pairs.length === 0 ? '' : `?${pairs.join('&')}` };
}

function segment(before: string, value: string): string {
  if (!/^(?!\.*$)[^/\\%\p{Cc}]+$/u.test(value)) {
    throw new OrthancError(
      'bad-request',
      `${shown(value)} is not allowed in a path: pass an identifier or a name without slashes and percent signs`,
    );
  }
  const kind = /([^/]*)\/$/.exec(before)?.[1] ?? '';
  const isOfGrammar = Object.hasOwn(grammars, kind) ? grammars[kind] : undefined;
  if (isOfGrammar && !isOfGrammar(value)) {
    throw new OrthancError('bad-request', `${shown(value)} is not an identifier of Orthanc (after /${kind}/)`);
  }
  return encodeURIComponent(value);
}

function shown(value: string): string {
  return JSON.stringify(value.length > 64 ? `${value.slice(0, 64)}…` : value);
}
