import { isDeepStrictEqual } from 'node:util';
import { optionFields, ruleConfig } from '@dicom-dispatch/core';
import {
  absentDigest,
  draftText,
  editDraft,
  readForm,
  type ConfigDraft,
  type DraftContext,
  type FormValues,
} from '@dicom-dispatch/operations';
import { OperationError, type Actor } from '@dicom-dispatch/pipeline';
import { configValue, type ConfigEdit } from '@dicom-dispatch/runtime';
import { judgeAs } from './judge-as.ts';
import { asPlain, editedText, fieldOf, type FieldProblem } from './entry-form.ts';

type Plain = Readonly<Record<string, unknown>>;

export interface RuleForm {
  /** Its name in the draft; a new one has none yet. */
  readonly was?: string | undefined;
  readonly name: string;
  readonly values: FormValues;
}

/** The options of a rule, except its name, which has a separate field. */
export const ruleFields = optionFields(ruleConfig).filter(({ name }) => name !== 'name');

/** The rules of a text, as written. A rule that is not a map counts as an empty one. */
export function rulesOf(text: string): readonly Plain[] {
  const { rules } = asPlain(configValue(text));
  return Array.isArray(rules) ? rules.map(asPlain) : [];
}

/** @throws OperationError `not-found` */
export function indexOfRule(rules: readonly Plain[], name: string): number {
  const index = rules.findIndex((rule) => rule['name'] === name);
  if (index < 0) throw new OperationError('not-found', `there is no rule "${name}"`);
  return index;
}

interface JudgedRule {
  readonly rule: Plain;
  readonly problems: readonly FieldProblem[];
}

/** Reads a form, and checks the configuration with it by the code that checks the file. */
export async function judgeRuleForm(context: DraftContext, form: RuleForm, isEditor: boolean): Promise<JudgedRule> {
  const before = await draftText(context);
  const rules = rulesOf(before);
  const index = form.was === undefined ? rules.length : indexOfRule(rules, form.was);
  const present = rules[index] ?? {};
  const { value, problems: unread } = await readForm(ruleFields, form.values, present, (secret) =>
    context.store.seal.seal(secret),
  );
  const rule: Plain = { name: form.name, ...value };
  const problems: FieldProblem[] = unread.map(({ path, message }) => ({ field: path.join('.'), message }));
  if (rules.some((one, at) => at !== index && one['name'] === form.name))
    problems.push({ field: 'name', message: `there is a rule "${form.name}" already` });
  const { text, why } = editedText(before, ruleEdits(before, form.was, rule));
  if (why !== undefined) return { rule, problems: [...problems, { field: '', message: why }] };
  const judged = await judgeAs(context.store, { before, text, isEditor });
  problems.push(...judged.foreign.map((message) => ({ field: '', message })));
  for (const { path, message } of judged.problems)
    if (path[0] === 'rules' && path[1] === index) problems.push({ field: fieldOf(path.slice(2)), message });
  return { rule, problems };
}

/** Puts a rule into a text in place of the one with a former name, or at the end. */
function ruleEdits(text: string, was: string | undefined, rule: Plain): ConfigEdit[] {
  const rules = rulesOf(text);
  if (rules.length === 0) return [{ kind: 'set', path: ['rules'], value: [rule] }];
  const index = was === undefined ? rules.length : indexOfRule(rules, was);
  return isDeepStrictEqual(rules[index], rule) ? [] : [{ kind: 'set', path: ['rules', index], value: rule }];
}

/**
 * Puts a rule into the draft.
 *
 * @throws OperationError `invalid` with its problems, `conflict` if another user has changed it
 */
export async function saveRuleForm(
  context: DraftContext,
  form: RuleForm,
  wish: { readonly who: Actor; readonly isEditor: boolean; readonly seen?: string | undefined },
): Promise<ConfigDraft> {
  const { rule, problems } = await judgeRuleForm(context, form, wish.isEditor);
  if (problems.length > 0)
    throw new OperationError(
      'invalid',
      problems.map(({ field, message }) => `${field || form.name}: ${message}`).join('\n'),
    );
  const digest = form.was === undefined ? absentDigest : wish.seen;
  return editDraft(context, {
    // Based on the text at that moment: other users may have added or removed rules.
    edits: (text) => ruleEdits(text, form.was, rule),
    what: form.was === undefined ? `rule ${form.name} added` : `rule ${form.was} changed`,
    who: wish.who,
    seen: digest === undefined ? undefined : { path: ['rules', form.was ?? form.name], digest },
  });
}
