import type { z } from 'zod';
import { formerOption } from './renamed-options.ts';

/** One problem of a configuration. */
export interface Problem {
  /** Where: keys and indexes from the top of the file. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** zod's issues as problems that name value and remedy; an unknown key is one problem each. */
export function toProblems(error: z.ZodError, raw: unknown): Problem[] {
  return error.issues.flatMap((issue) => issueProblems(issue, raw));
}

function issueProblems(issue: z.core.$ZodIssue, raw: unknown): Problem[] {
  const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({ path: [...path, key], message: unknownKey([...path, key]) }));
    case 'invalid_key':
      return [{ path, message: `${show(path.at(-1))}: ${issue.issues[0]?.message ?? 'not a usable name'}` }];
    case 'invalid_union': {
      if (issue.discriminator !== undefined) {
        const known = (issue as { options?: unknown[] }).options ?? [];
        const value = at(raw, [...path]);
        const given = isRecord(value) ? value[issue.discriminator] : undefined;
        return [
          {
            path: path.at(-1) === issue.discriminator ? path : [...path, issue.discriminator],
            message: `${show(at(raw, path) === undefined || isRecord(at(raw, path)) ? given : at(raw, path))} is not a known ${issue.discriminator}${known.length > 0 ? `: use one of ${known.map(String).join(', ')}` : ''}`,
          },
        ];
      }
      return [{ path, message: `${showAt(raw, path)}: ${issue.message}` }];
    }
    case 'invalid_type': {
      const value = at(raw, path);
      if (value === undefined) return [{ path, message: `is missing: ${nameOf(issue.expected)} is required` }];
      return [{ path, message: `${showAt(raw, path)} is not ${kinds[issue.expected] ?? article(issue.expected)}` }];
    }
    case 'invalid_value':
      return [{ path, message: `${showAt(raw, path)} is not one of ${issue.values.map(String).join(', ')}` }];
    case 'custom':
      return [{ path, message: issue.message }];
    case 'too_small':
    case 'too_big':
      return [{ path, message: `${showAt(raw, path)}: ${outOfBounds(issue)}` }];
    default:
      return [{ path, message: `${showAt(raw, path)}: ${issue.message}` }];
  }
}

const kinds: Readonly<Record<string, string>> = {
  array: 'a list: write [a, b]',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a number: write digits without quotes',
  object: 'a map: write NAME: VALUE in lines below, or { NAME: VALUE }',
  record: 'a map: write NAME: VALUE in lines below, or { NAME: VALUE }',
  string: 'a text: write it in quotes',
};

function nameOf(expected: string): string {
  return kinds[expected]?.split(':')[0] ?? article(expected);
}

/** The bound that a value exceeds. Messages of our schemas are kept. */
function outOfBounds(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  if (!/^Too (small|big): /.test(issue.message)) return issue.message;
  const [word, bound] = issue.code === 'too_small' ? ['at least', issue.minimum] : ['at most', issue.maximum];
  if (issue.origin === 'string')
    return bound === 1n || bound === 1 ? 'must not be empty' : `use ${word} ${bound} characters`;
  return `use ${word} ${bound}${issue.origin === 'array' || issue.origin === 'set' ? ' entries' : ''}`;
}

function unknownKey(path: Problem['path']): string {
  const key = String(path.at(-1));
  return formerOption(path) ?? `unknown key "${key}": remove it or correct its spelling`;
}

function article(expected: string): string {
  return /^[aeiou]/.test(expected) ? `an ${expected}` : `a ${expected}`;
}

function isRecord(value: unknown): value is Record<string | number, unknown> {
  return typeof value === 'object' && value !== null;
}

function at(raw: unknown, path: readonly (string | number)[]): unknown {
  let value = raw;
  for (const key of path) {
    if (!isRecord(value)) return undefined;
    value = value[key];
  }
  return value;
}

/** A value for a message; one that is probably a secret is not shown. */
function showAt(raw: unknown, path: readonly (string | number)[]): string {
  const names = path.filter((key) => typeof key === 'string');
  const isSecret =
    /secret|password|passphrase|token|^key$|(account|search|private|api)key$/i.test(names.at(-1) ?? '') ||
    names.at(-2) === 'headers' ||
    (names.at(-3) === 'webhooks' && names.at(-1) === 'url');
  const value = at(raw, path);
  return isSecret && value !== undefined ? 'this value' : show(value);
}

function show(value: unknown): string {
  // A password in an address is not shown.
  const text = (typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? 'nothing')).replaceAll(
    /:\/\/[^@/"\s]*@/g,
    '://***@',
  );
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
