import { configValue, editConfig, judgeText } from '@dicom-dispatch/runtime';
import { draftText, type ConfigDraft, type DraftContext } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { targetDefaultsOf, type Config } from '@dicom-dispatch/core';
import {
  entriesOf,
  judgeEntry,
  refuseProblems,
  saveEntry,
  type EntryForm,
  type EntrySpec,
  type JudgedEntry,
  type SaveWish,
} from './entry-form.ts';
import { targetType } from './target-types.ts';

type Plain = Readonly<Record<string, unknown>>;

export interface TargetForm extends EntryForm {
  readonly type: string;
}

/** Reads a form, and checks the configuration with it by the code that checks the file. */
export async function judgeTargetForm(
  context: DraftContext,
  form: TargetForm,
  isEditor: boolean,
): Promise<JudgedEntry> {
  return judgeEntry(context, await targetSpec(context, form, isEditor), form, isEditor);
}

/**
 * Puts a target into the draft.
 *
 * @throws OperationError `invalid` with its problems, `conflict` if another user has changed it
 */
export async function saveTargetForm(context: DraftContext, form: TargetForm, wish: SaveWish): Promise<ConfigDraft> {
  return saveEntry(context, await targetSpec(context, form, wish.isEditor), form, wish);
}

async function targetSpec(
  context: DraftContext,
  { was, type }: Pick<TargetForm, 'was' | 'type'>,
  isEditor: boolean,
): Promise<EntrySpec> {
  const targets = entriesOf(await draftText(context), ['targets']);
  const present = was === undefined ? undefined : targets[was];
  const { fields } = await targetType(context, type, !isEditor || present?.['type'] === type);
  return {
    above: ['targets'],
    noun: 'target',
    fields,
    fixed: { type },
    // A problem of the defaults of its type concerns the target. Its message may contain values that editors must not see.
    elsewhere({ path }) {
      if (path[0] !== 'targetDefaults' || path[1] !== type) return [];
      const message = `${path.join('.')} cannot be used: an administrator must correct it`;
      return [{ field: String(path[2] ?? ''), message }];
    },
  };
}

/** The configuration of one target without the others, for a connection test. @throws OperationError `invalid` */
export async function targetOfForm(
  context: DraftContext,
  form: TargetForm,
  isEditor: boolean,
): Promise<Config['targets'][string]> {
  const { value: target, text, problems } = await judgeTargetForm(context, form, isEditor);
  refuseProblems(problems, form.name);
  // Problems of other sections do not matter here: only the target is checked, with a source, which is required.
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

/** Options that refer to other parts of the configuration: a test needs none of them. */
function withoutReferences(target: Plain): Plain {
  return Object.fromEntries(Object.entries(target).filter(([name]) => name !== 'transform' && name !== 'source'));
}
