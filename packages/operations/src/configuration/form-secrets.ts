import type { OptionField } from '@dicom-dispatch/core';
import { hidden } from './hide-secrets.ts';

type Path = readonly string[];

/** An option that is edited as YAML, as its form shows it: secrets that are not references are masked. */
export function maskSecrets({ secretsIn }: OptionField, value: unknown): unknown {
  const paths = secretsIn(value).filter((path) => isHidden(getAt(value, path)));
  return withoutSealed(paths.reduce<unknown>((masked, path) => setAt(masked, path, hidden), value));
}

/** The same for a duplicate, which has no such secrets; undefined if nothing is left. */
export function omitSecrets({ secretsIn }: OptionField, value: unknown): unknown {
  const paths = secretsIn(value).filter((path) => isHidden(getAt(value, path)));
  // From the end: positions in lists move.
  const left = paths.reduceRight<unknown>((some, path) => setAt(some, path, undefined), value);
  const isEmpty = typeof left === 'object' && left !== null && Object.keys(left).length === 0;
  return isEmpty && paths.length > 0 ? undefined : left;
}

export interface ReadSecrets {
  readonly value: unknown;
  /** Why a secret cannot be read, each with its dotted path. */
  readonly problems: readonly string[];
}

/**
 * Reads what a form sent for an option that was shown by {@link maskSecrets}: restores masked secrets, and encrypts entered
 * ones.
 *
 * @param was - its value as currently written
 */
export async function readSecrets(
  { secretsIn }: OptionField,
  value: unknown,
  was: unknown,
  seal: (secret: string) => Promise<string>,
): Promise<ReadSecrets> {
  const problems: string[] = [];
  let read = value;
  for (const path of secretsIn(value)) {
    const text = getAt(value, path);
    const name = path.join('.') || 'the secret';
    if (text === hidden) {
      const kept = getAt(was, path);
      if (kept === undefined) problems.push(placeholderText(name));
      else read = setAt(read, path, kept);
    } else if (typeof text === 'number' || typeof text === 'boolean')
      problems.push(`${name}: put the text of a secret into quotes`);
    else if (typeof text === 'string' && isHidden(text)) read = setAt(read, path, { sealed: await seal(text) });
  }
  return { value: read, problems };
}

/** Message for a masked value that cannot be restored. */
export function placeholderText(name: string): string {
  return `${hidden} is a placeholder for a value that is not known here: enter the value of ${name}`;
}

/** Whether a secret must not be shown: it is no reference. */
function isHidden(value: unknown): boolean {
  if (typeof value === 'string') return value !== '' && !value.includes('${');
  return isSealed(value) || typeof value === 'number';
}

function isSealed(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).join() === 'sealed';
}

/** Encrypted secrets in places that the schema does not know. */
function withoutSealed(value: unknown): unknown {
  if (isSealed(value)) return hidden;
  if (Array.isArray(value)) return value.map(withoutSealed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, withoutSealed(one)]));
}

function getAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? (at as never)[key] : undefined),
    value,
  );
}

/** A copy with another value at a path; `undefined` removes it. */
function setAt(root: unknown, [key, ...inner]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  if (Array.isArray(root)) {
    const items = root.map((item: unknown, index) => (String(index) === key ? setAt(item, inner, value) : item));
    return items.filter((item) => item !== undefined);
  }
  const entries = Object.entries(root as Readonly<Record<string, unknown>>).map(
    ([name, one]) => [name, name === key ? setAt(one, inner, value) : one] as const,
  );
  return Object.fromEntries(entries.filter(([, one]) => one !== undefined));
}
