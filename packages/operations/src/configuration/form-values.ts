import type { OptionField } from '@dicom-dispatch/core';
import { parse, stringify } from 'yaml';
import { isDeepStrictEqual } from 'node:util';
import { maskSecrets, placeholderText, readSecrets } from './form-secrets.ts';
import { hidden, hideAddress, hideSecrets } from './hide-secrets.ts';

type Plain = Readonly<Record<string, unknown>>;

/** Form data: text by dotted path; an empty option is removed from the file, so that its default applies. */
export type FormValues = Readonly<Record<string, string>>;

export interface FormProblem {
  readonly path: readonly string[];
  readonly message: string;
}

export interface ReadForm {
  /** The object as it would be written in the file. */
  readonly value: Plain;
  readonly problems: readonly FormProblem[];
  /** Entered secrets, encrypted. */
  readonly typed: ReadonlySet<string>;
}

/** Notation of a secret that is stored elsewhere. */
const reference = '${NAME} or file:PATH';

/** Sent to remove a secret. */
export const removedSecret = '\u0000remove';

/** An option as shown in the form; of a secret only its existence is shown elsewhere. */
export function fieldText(field: OptionField, value: unknown): string {
  if (value === undefined || value === null || field.kind === 'secret') return '';
  if (typeof value === 'string')
    return field.kind === 'yaml' && needsQuotes(value) ? stringify(value).trim() : String(hideSecrets(value));
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (
    field.kind === 'list' &&
    Array.isArray(value) &&
    value.every((one) => typeof one === 'string' && !/[\n,]/.test(one))
  )
    return value.join('\n');
  return stringify(maskSecrets(field, value), { lineWidth: 0 }).trim();
}

function needsQuotes(text: string): boolean {
  try {
    return !isDeepStrictEqual(parse(text), text);
  } catch {
    return true;
  }
}

/** How an existing secret is shown: never its value. */
export function secretText(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') return /^\$\{\w+\}$/.test(value) ? value : hideAddress(value, 'a text in the file');
  const { file } = (value ?? {}) as { file?: unknown };
  return typeof file === 'string' ? `the file ${file}` : 'entered here, stored encrypted';
}

/**
 * Creates an object of the configuration from form data. Unchanged values keep their notation.
 *
 * @param present - the object as currently written
 * @param seal - encrypts an entered secret
 */
export async function readForm(
  fields: readonly OptionField[],
  values: FormValues,
  present: Plain,
  seal: (secret: string) => Promise<string>,
): Promise<ReadForm> {
  const problems: FormProblem[] = [];
  const typed = new Set<string>();
  const value = await section(fields, present, []);
  return { value, problems, typed };

  async function section(of: readonly OptionField[], old: Plain, path: readonly string[]): Promise<Plain> {
    const made: Record<string, unknown> = {};
    for (const field of of) {
      const at = [...path, field.name];
      const was = old[field.name];
      const next = field.kind === 'section' ? await inner(field, was, at) : await one(field, was, at);
      if (next !== undefined) made[field.name] = next;
    }
    // In the order of the file, then new ones.
    const names = [...Object.keys(old).filter((name) => Object.hasOwn(made, name)), ...Object.keys(made)];
    return Object.fromEntries([...new Set(names)].map((name) => [name, made[name]]));
  }

  async function inner(field: OptionField, was: unknown, at: readonly string[]): Promise<unknown> {
    const next = await section(field.fields, isPlain(was) ? was : {}, at);
    return Object.keys(next).length > 0 || isPlain(was) ? emptied(next, was) : undefined;
  }

  async function one(field: OptionField, was: unknown, at: readonly string[]): Promise<unknown> {
    const text = values[at.join('.')];
    if (field.kind === 'secret') return secret(text, was, at);
    if (text === undefined || text.trim() === fieldText(field, was).trim())
      return text === undefined ? undefined : (was ?? undefined);
    if (text.trim() === '') return undefined;
    let value: unknown;
    try {
      value = plainValue(field, text);
    } catch (error) {
      problems.push({ path: at, message: `is not YAML: ${(error as Error).message.split('\n')[0]}` });
      return undefined;
    }
    if (typeof value === 'string' && value.includes(`://${hidden}@`))
      problems.push({ path: at, message: placeholderText('the login') });
    const read = await readSecrets(field, value, was, (one) => sealed(one, at));
    problems.push(...read.problems.map((message) => ({ path: at, message })));
    return read.value;
  }

  async function sealed(text: string, at: readonly string[]): Promise<string> {
    try {
      const one = await seal(text);
      typed.add(one);
      return one;
    } catch (error) {
      const message = `cannot be stored encrypted here: ${(error as Error).message}; refer to it by ${reference} instead`;
      problems.push({ path: at, message });
      return '';
    }
  }

  async function secret(text: string | undefined, was: unknown, at: readonly string[]): Promise<unknown> {
    if (text === removedSecret) return undefined;
    if (text === undefined || text === '') return was;
    if (/^\$\{[A-Za-z_]\w*\}$/.test(text)) return text;
    if (text.startsWith('file:')) return { file: text.slice('file:'.length).trim() };
    return { sealed: await sealed(text, at) };
  }
}

/** A section that lost its last option is removed, unless it was written empty. */
function emptied(next: Plain, was: unknown): Plain | undefined {
  return Object.keys(next).length === 0 && isPlain(was) && Object.keys(was).length > 0 ? undefined : next;
}

function plainValue(field: OptionField, text: string): unknown {
  switch (field.kind) {
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text.trim();
    case 'flag':
      return text === 'true' ? true : text === 'false' ? false : text;
    case 'list':
      // As it is shown when an element has a comma or several lines.
      if (/^\s*(-\s|\[)/.test(text)) return parse(text) as unknown;
      return text
        .split(/[\n,]/)
        .map((one) => one.trim())
        .filter((one) => one !== '');
    case 'yaml':
      return parse(text) as unknown;
    default:
      return text.trim() === '0' ? 0 : text.trim();
  }
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
