import type { OptionField } from '@dicom-dispatch/core';
import { hidden } from './hide-secrets.ts';

type Path = readonly string[];

/**
 * An option that is edited as YAML, as its form shows it: secrets that are not references are masked. Those in lists are
 * numbered, since lines can be moved: `*** 1`.
 */
export function maskSecrets({ secretsIn }: OptionField, value: unknown): unknown {
  const { listed, others } = hiddenIn(value, secretsIn(value));
  const masked = listed.reduce<unknown>((some, path, index) => setAt(some, path, `${hidden} ${index + 1}`), value);
  return withoutSealed(others.reduce<unknown>((some, path) => setAt(some, path, hidden), masked));
}

/** The option for a duplicate: without secrets that are not references; undefined if nothing is left. */
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
 * Reads the value that a form sent for an option shown by {@link maskSecrets}: restores masked secrets, encrypts entered ones.
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
  const { listed } = hiddenIn(was, secretsIn(was));
  let read = value;
  for (const path of secretsIn(value)) {
    const text = getAt(value, path);
    const name = path.join('.') || 'the secret';
    if (typeof text === 'string' && placeholder.test(text)) {
      const from = text === hidden ? singlePath(value, path) : listed[numberOf(text) - 1];
      const kept = from && getAt(was, from);
      if (!isHidden(kept)) problems.push(placeholderText(name, text));
      else read = setAt(read, path, kept);
    } else if (typeof text === 'number' || typeof text === 'boolean')
      problems.push(`${name}: put the text of a secret into quotes`);
    else if (typeof text === 'string' && isHidden(text)) read = setAt(read, path, { sealed: await seal(text) });
  }
  return { value: read, problems };
}

const placeholder = /^\*\*\*( \d+)?$/;

function numberOf(text: string): number {
  return Number(text.slice(hidden.length));
}

/** Paths of the secrets that must not be shown: those in lists, and the others. */
function hiddenIn(value: unknown, paths: readonly Path[]): { listed: Path[]; others: Path[] } {
  const all = paths.filter((path) => isHidden(getAt(value, path)));
  const isListed = (path: Path): boolean => listIn(value, path) >= 0;
  return { listed: all.filter(isListed), others: all.filter((path) => !isListed(path)) };
}

/** Former path of a secret without a number. It was not in a list, but may now be an element of one: `a` is now `[b, a]`. */
function singlePath(value: unknown, path: Path): Path {
  const at = listIn(value, path);
  return at < 0 ? path : [...path.slice(0, at), ...path.slice(at + 1)];
}

/** Position in a path of the first index of a list, or -1. */
function listIn(value: unknown, path: Path): number {
  return path.findIndex((_, index) => Array.isArray(getAt(value, path.slice(0, index))));
}

/** Message for a masked value that cannot be restored. */
export function placeholderText(name: string, text: string = hidden): string {
  return `${text} is a placeholder for a value that is not known here: enter the value of ${name}`;
}

/** Whether a secret must not be shown: it is not a reference. */
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
