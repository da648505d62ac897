import { configValue, editConfig, judgeText, type ConfigEdit, type LocatedProblem } from '@dicom-dispatch/runtime';
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
import { isDeepStrictEqual } from 'node:util';
import { notesOf, targetDefaultsOf, type Config } from '@dicom-dispatch/core';
import { judgeAs } from './judge-as.ts';
import { targetType } from './target-types.ts';

type Plain = Readonly<Record<string, unknown>>;

export interface TargetForm {
  /** Name under which it is in the draft; a new one has none yet. */
  readonly was?: string | undefined;
  readonly name: string;
  readonly type: string;
  readonly values: FormValues;
}

export interface FieldProblem {
  /** Dotted path within the target, e.g. `tls.ca`; `name`; empty where it concerns the target as a whole. */
  readonly field: string;
  readonly message: string;
}

export interface JudgedForm {
  readonly edits: readonly ConfigEdit[];
  /** The target as it would be written. */
  readonly target: Plain;
  /** The text of the configuration with it. */
  readonly text: string;
  /** Of the target itself; what is wrong elsewhere in the draft is shown with the draft. */
  readonly problems: readonly FieldProblem[];
  /** The configuration that it would be, if all of it is good. */
  readonly config?: Config | undefined;
}

/** Reads a form, and checks the configuration with it by the code that checks the file. */
export async function judgeTargetForm(context: DraftContext, form: TargetForm, isEditor: boolean): Promise<JudgedForm> {
  const before = await draftText(context);
  const raw = configValue(before) as { targets?: Readonly<Record<string, Plain>> } | null;
  const targets = raw?.targets ?? {};
  const present = form.was === undefined ? undefined : targets[form.was];
  if (form.was !== undefined && !present) throw new OperationError('not-found', `there is no target "${form.was}"`);
  const { fields } = await targetType(context, form.type, !isEditor || present?.['type'] === form.type);
  const { value, problems, typed } = await readForm(fields, form.values, present ?? {}, (text) =>
    context.store.seal.seal(text),
  );
  const { type: _, ...options } = value;
  const target: Plain = { type: form.type, ...options, ...notesOf(present ?? {}) };
  const found: FieldProblem[] = problems.map(({ path, message }) => ({ field: path.join('.'), message }));
  if (form.name !== form.was && targets[form.name] !== undefined)
    found.push({ field: 'name', message: `there is a target "${form.name}" already` });
  const edits: ConfigEdit[] = [];
  if (form.was !== undefined && form.was !== form.name)
    edits.push({ kind: 'rename', path: ['targets', form.was], name: form.name });
  if (!isDeepStrictEqual(present, target)) edits.push({ kind: 'set', path: ['targets', form.name], value: target });
  if (found.some(({ field }) => field === 'name')) return { edits, target, text: before, problems: found };
  const text = editConfig(before, edits);
  const judged = await judgeAs(context.store, { before, text, isEditor, typed });
  found.push(...judged.foreign.map((message) => ({ field: '', message })));
  found.push(...judged.problems.flatMap((problem) => ofTarget(problem, form.name, form.type)));
  return { edits, target, text, problems: found, config: judged.config };
}

/** @param type - of the target: what is wrong with the defaults of its type is wrong with it */
function ofTarget({ path, message }: LocatedProblem, name: string, type: string): FieldProblem[] {
  if (path[0] === 'targetDefaults' && path[1] === type) {
    // The words may quote what editors do not see.
    const where = path.join('.');
    return [{ field: String(path[2] ?? ''), message: `${where} cannot be used: an administrator has to correct it` }];
  }
  if (path[0] !== 'targets' || path[1] !== name) return [];
  return [
    { field: path.slice(2).join('.') || (path.length === 2 && message.includes('a name has') ? 'name' : ''), message },
  ];
}

/**
 * Puts a target into the draft.
 *
 * @throws OperationError `invalid` with what is wrong with it
 */
export async function saveTargetForm(
  context: DraftContext,
  form: TargetForm,
  wish: {
    readonly who: Actor;
    readonly isEditor: boolean;
    readonly seen?: string | undefined;
    readonly after?: AfterApply | undefined;
  },
): Promise<ConfigDraft> {
  const { edits, problems } = await judgeTargetForm(context, form, wish.isEditor);
  if (problems.length > 0) {
    throw new OperationError(
      'invalid',
      problems.map(({ field, message }) => `${field || form.name}: ${message}`).join('\n'),
    );
  }
  const digest = form.was === undefined ? absentDigest : wish.seen;
  const what = form.was === undefined ? `target ${form.name} added` : `target ${form.was} changed`;
  return editDraft(context, {
    edits,
    what: form.was !== undefined && form.was !== form.name ? `target ${form.was} renamed to ${form.name}` : what,
    who: wish.who,
    ...(wish.after && { after: wish.after }),
    seen: digest === undefined ? undefined : { path: ['targets', form.was ?? form.name], digest },
  });
}

/** The configuration of one target alone, for a test of its connection. @throws OperationError `invalid` */
export async function targetOfForm(
  context: DraftContext,
  form: TargetForm,
  isEditor: boolean,
): Promise<Config['targets'][string]> {
  const { target, text, problems } = await judgeTargetForm(context, form, isEditor);
  if (problems.length > 0)
    throw new OperationError(
      'invalid',
      problems.map(({ field, message }) => `${field || form.name}: ${message}`).join('\n'),
    );
  // What is wrong elsewhere does not matter here: beside the sources, which are needed, it is alone.
  const alone = editConfig('', [
    { kind: 'set', path: ['sources'], value: { test: { url: 'http://127.0.0.1:1' } } },
    {
      kind: 'set',
      path: ['targets', form.name],
      value: withoutReferences({ ...targetDefaultsOf(configValue(text), form.type), ...target }),
    },
  ]);
  const { config, problems: wrong } = await judgeText(context.store, alone);
  const found = config?.targets[form.name];
  if (found) return found;
  throw new OperationError('invalid', wrong.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
}

/** Options that name other parts of the configuration: a test needs none of them. */
function withoutReferences(target: Plain): Plain {
  return Object.fromEntries(Object.entries(target).filter(([name]) => name !== 'transform' && name !== 'source'));
}
