import { isDeepStrictEqual } from 'node:util';
import {
  referredKinds,
  renameReferences,
  type Config,
  type OptionField,
  type ReferredKind,
  type RenamedReferences,
} from '@dicom-dispatch/core';
import {
  absentDigest,
  draftText,
  editDraft,
  readForm,
  type AfterApply,
  type ConfigDraft,
  type DraftContext,
  type FormValues,
} from '@dicom-dispatch/operations';
import { OperationError, type Actor } from '@dicom-dispatch/pipeline';
import { configValue, editConfig, type ConfigEdit, type LocatedProblem } from '@dicom-dispatch/runtime';
import { judgeAs } from './judge-as.ts';

type Plain = Readonly<Record<string, unknown>>;

/** A named part of the configuration, and its form. */
export interface EntrySpec {
  /** Keys of the map that contains it, e.g. `console`, `users`. */
  readonly above: readonly string[];
  /** Noun for an entry in messages, e.g. `target`. */
  readonly noun: string;
  readonly fields: readonly OptionField[];
  /** Options that are not in the form. */
  readonly fixed?: Plain;
  /** A section that exists once: its name is its key, and it is removed if it has no options. */
  readonly isSingle?: boolean;
  /** Fields for problems at other paths that concern the entry. */
  readonly elsewhere?: (problem: Pick<LocatedProblem, 'path'>) => FieldProblem[];
  /** The stored value of a valid form. Default: the checked value. @throws OperationError */
  readonly keep?: (value: Plain, values: FormValues, name: string) => Promise<Plain>;
}

export interface EntryForm {
  /** Its name in the draft; a new one has none yet. */
  readonly was?: string | undefined;
  readonly name: string;
  readonly values: FormValues;
}

export interface FieldProblem {
  /** Dotted path within the entry, e.g. `tls.ca`; `name`; empty if it concerns the entry as a whole. */
  readonly field: string;
  readonly message: string;
}

export interface JudgedEntry {
  /** The entry as it would be written. */
  readonly value: Plain;
  /** The text of the configuration with it. */
  readonly text: string;
  /** Problems of the entry itself; others are shown with the draft. */
  readonly problems: readonly FieldProblem[];
  /** The resulting configuration, if it is valid. */
  readonly config?: Config | undefined;
}

/** The map of a text that contains entries of a kind, as written. Another value counts as an empty map. */
export function entriesOf(text: string, above: readonly string[]): Readonly<Record<string, Plain>> {
  let at: unknown = configValue(text);
  for (const key of above) at = asPlain(at)[key];
  return Object.fromEntries(Object.entries(asPlain(at)).map(([name, one]) => [name, asPlain(one)]));
}

/** A map; an empty one for another value. */
export function asPlain(value: unknown): Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Plain) : {};
}

/** @throws OperationError `not-found` */
export function needEntry(entries: Readonly<Record<string, Plain>>, noun: string, name: string): Plain {
  if (!Object.hasOwn(entries, name)) throw new OperationError('not-found', `there is no ${noun} "${name}"`);
  return entries[name] ?? {};
}

/** Reads a form, and checks the configuration with it by the code that checks the file. */
export async function judgeEntry(
  context: DraftContext,
  spec: EntrySpec,
  form: EntryForm,
  isEditor: boolean,
): Promise<JudgedEntry> {
  const before = await draftText(context);
  const entries = entriesOf(before, spec.above);
  const present = form.was === undefined ? undefined : needEntry(entries, spec.noun, form.was);
  const read = await readForm(spec.fields, form.values, present ?? {}, (text) => context.store.seal.seal(text));
  const found: FieldProblem[] = read.problems.map(({ path, message }) => ({ field: path.join('.'), message }));
  const value: Plain = { ...spec.fixed, ...notAsked(spec, present), ...read.value };
  if (form.name !== form.was && Object.hasOwn(entries, form.name))
    found.push({ field: 'name', message: `the ${spec.noun} "${form.name}" exists already` });
  if (found.some(({ field }) => field === 'name')) return { value, text: before, problems: found };
  if (form.was !== undefined) {
    const { open } = referencesOf(before, spec, { ...form, was: form.was });
    if (open.length > 0)
      return { value, text: before, problems: [...found, { field: 'name', message: open.join('; ') }] };
  }
  const { text, why } = editedText(before, entryEdits(spec, form, before, value));
  if (why !== undefined) return { value, text: before, problems: [...found, { field: '', message: why }] };
  const judged = await judgeAs(context.store, { before, text, isEditor, typed: read.typed });
  found.push(...judged.foreign.map((message) => ({ field: '', message })));
  found.push(
    ...judged.problems.flatMap((problem) => [
      ...problemOf(problem, [...spec.above, form.name]),
      ...(spec.elsewhere?.(problem) ?? []),
    ]),
  );
  return { value, text, problems: found, config: judged.config };
}

/** The text after edits; the unchanged text if they are not possible, e.g. since a section is not a map. */
export function editedText(
  text: string,
  edits: readonly ConfigEdit[],
): { readonly text: string; readonly why?: string } {
  try {
    return { text: editConfig(text, edits) };
  } catch (error) {
    return { text, why: (error as Error).message };
  }
}

/** Options that are not in the form, which are preserved. */
function notAsked({ fields, fixed = {} }: EntrySpec, present: Plain = {}): Plain {
  const asked = new Set([...fields.map(({ name }) => name), ...Object.keys(fixed)]);
  return Object.fromEntries(Object.entries(present).filter(([name]) => !asked.has(name)));
}

function entryEdits(spec: EntrySpec, form: EntryForm, text: string, value: Plain): ConfigEdit[] {
  const { above, isSingle = false } = spec;
  const { was, name } = form;
  const present = was === undefined ? undefined : entriesOf(text, above)[was];
  const edits: ConfigEdit[] = [];
  if (was !== undefined && was !== name) {
    const { changes } = referencesOf(text, spec, { was, name });
    edits.push(...changes.map((change) => ({ kind: 'set' as const, ...change })));
    edits.push({ kind: 'rename', path: [...above, was], name });
  }
  const path = [...above, name];
  if (isSingle && Object.keys(value).length === 0) return present ? [{ kind: 'remove', path }] : [];
  if (!isDeepStrictEqual(present, value)) edits.push({ kind: 'set', path, value });
  return edits;
}

/** References in a text to an entry that is renamed, and why some of them cannot be changed. */
function referencesOf(
  text: string,
  { above }: EntrySpec,
  { was, name }: { readonly was: string; readonly name: string },
): RenamedReferences {
  const [kind = '', ...inner] = above;
  const isReferred = inner.length === 0 && (referredKinds as readonly string[]).includes(kind);
  if (!isReferred || was === name) return { changes: [], open: [] };
  return renameReferences(configValue(text), kind as ReferredKind, was, name);
}

/** A problem of the configuration for the form at a path; empty if it concerns another path. */
export function problemOf(
  { path, message }: Pick<LocatedProblem, 'path' | 'message'>,
  own: readonly (string | number)[],
): FieldProblem[] {
  if (!own.every((key, index) => path[index] === key)) return [];
  const inner = fieldOf(path.slice(own.length));
  return [{ field: inner === '' && message.includes('a name has') ? 'name' : inner, message }];
}

/** A problem of a list element is shown with the list. */
export function fieldOf(path: readonly (string | number)[]): string {
  const end = path.findIndex((key) => typeof key === 'number');
  return path.slice(0, end < 0 ? path.length : end).join('.');
}

export interface SaveWish {
  readonly who: Actor;
  readonly isEditor: boolean;
  /** valueDigest of the entry as the form showed it. */
  readonly seen?: string | undefined;
  readonly after?: AfterApply | undefined;
}

/**
 * Puts an entry into the draft.
 *
 * @throws OperationError `invalid` with its problems, `conflict` if another user has changed it
 */
export async function saveEntry(
  context: DraftContext,
  spec: EntrySpec,
  form: EntryForm,
  wish: SaveWish,
): Promise<ConfigDraft> {
  const { value, problems } = await judgeEntry(context, spec, form, wish.isEditor);
  refuseProblems(problems, form.name);
  const kept = (await spec.keep?.(value, form.values, form.name)) ?? value;
  const digest = form.was === undefined ? absentDigest : wish.seen;
  const { noun, isSingle = false } = spec;
  const what =
    form.was === undefined && !isSingle ? `${noun} ${form.name} added` : `${noun} ${form.was ?? form.name} changed`;
  return editDraft(context, {
    // Based on the text at that moment: other users may have added references to the entry.
    edits: (text) => entryEdits(spec, form, text, kept),
    what: form.was !== undefined && form.was !== form.name ? `${noun} ${form.was} renamed to ${form.name}` : what,
    who: wish.who,
    ...(wish.after && { after: wish.after }),
    seen: digest === undefined ? undefined : { path: [...spec.above, form.was ?? form.name], digest },
  });
}

/** @throws OperationError `invalid` with the problems, if any */
export function refuseProblems(problems: readonly FieldProblem[], name: string): void {
  if (problems.length === 0) return;
  throw new OperationError('invalid', problems.map(({ field, message }) => `${field || name}: ${message}`).join('\n'));
}
