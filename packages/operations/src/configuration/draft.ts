import { OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import {
  ConfigError,
  configDigest,
  configValue,
  editConfig,
  mergeConfigs,
  parseText,
  type ConfigEdit,
  type ConfigurationStore,
} from '@dicom-dispatch/runtime';
import { isDeepStrictEqual } from 'node:util';
import { Lexer } from 'yaml';
import { z } from 'zod';

/** Actions for deliveries of targets that a draft removes or moves, after it is in use. */
const afterApply = z.discriminatedUnion('act', [
  z.object({ act: z.literal('move'), target: z.string().max(64), to: z.string().max(64) }),
  z.object({ act: z.literal('drop'), target: z.string().max(64) }),
  z.object({ act: z.literal('same-place'), target: z.string().max(64) }),
  z.object({ act: z.literal('new-place'), target: z.string().max(64) }),
]);
export type AfterApply = z.infer<typeof afterApply>;

const draftSchema = z.object({
  /** Digest of the base file, and its text. */
  base: z.string(),
  baseText: z.string(),
  text: z.string(),
  changes: z.array(z.object({ at: z.number(), who: z.string(), what: z.string() })),
  after: z.array(afterApply),
});

/** The prepared change of the configuration: one for all users, so that each sees the changes of others. */
export type ConfigDraft = z.infer<typeof draftSchema>;

export interface DraftContext extends PipelineContext {
  readonly store: ConfigurationStore;
}

export interface DraftEdit {
  /** Edits, or a function that creates them from the current text of the draft. */
  readonly edits: readonly ConfigEdit[] | ((text: string) => readonly ConfigEdit[]);
  /** Description for the list of changes. */
  readonly what: string;
  readonly who: Actor;
  readonly after?: AfterApply;
  /** Returns why the edited text must not be stored. */
  readonly judge?: (before: string, after: string) => readonly string[];
  /**
   * Digest of the value of a path as shown in the form, see {@link valueDigest}; another value now is a change of another
   * user.
   */
  readonly seen?: { readonly path: readonly string[]; readonly digest: string } | undefined;
}

const maxChanges = 200;
const maxTextLength = 2 * 1024 * 1024;

const swapScript = `
local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], ARGV[2]) end
return 1
`;

/** The draft, updated to the current file; undefined if there is none. */
export async function readDraft(context: DraftContext): Promise<ConfigDraft | undefined> {
  return (await readStored(context)).draft;
}

/**
 * The text that an edit starts from: that of the draft, or that of the file.
 *
 * @throws OperationError `conflict` if it is not YAML, e.g. after an edit by hand
 */
export async function draftText(context: DraftContext): Promise<string> {
  const text = (await readDraft(context))?.text ?? (await context.store.current.read()).text;
  needYaml(context, text);
  return text;
}

function needYaml({ store }: DraftContext, text: string): void {
  try {
    configValue(text);
  } catch (error) {
    const remedy = 'correct it with "Edit as YAML" on the page Configuration, or by hand';
    const why = placedFault(store.current.title, text) ?? `is not YAML: ${(error as Error).message}`;
    throw new OperationError('conflict', `${why}: ${remedy}`, { cause: error });
  }
}

/** The first fault of a text that is not YAML, with line and column. */
function placedFault(title: string, text: string): string | undefined {
  try {
    parseText(title, text);
    return undefined;
  } catch (error) {
    return error instanceof ConfigError ? error.format().split('\n')[0] : undefined;
  }
}

/** Identifies the draft that a user has seen: its text, and the decisions about deliveries. */
export function draftDigest({ text, after }: Pick<ConfigDraft, 'text' | 'after'>): string {
  return configDigest(after.length === 0 ? text : `${text}\n${JSON.stringify(after)}`);
}

/** {@link valueDigest} of a path without a value: an addition must not replace one of another user. */
export const absentDigest = 'absent';

/**
 * Identifies the value of a path from which a form was created.
 *
 * @param path - keys of maps; in a list, the `name` of an element
 */
export function valueDigest(text: string, path: readonly string[]): string {
  let value: unknown = configValue(text);
  for (const key of path)
    value = Array.isArray(value)
      ? value.find((one: Readonly<Record<string, unknown>> | null) => one?.['name'] === key)
      : (value as Readonly<Record<string, unknown>> | null | undefined)?.[key];
  return value === undefined ? absentDigest : configDigest(JSON.stringify(value)).slice(0, 16);
}

/**
 * Edits the draft; creates one if there is none.
 *
 * @throws OperationError `conflict` if another user has changed the same value, or `judge` rejects the edited text; `invalid` if it
 *   cannot be edited
 */
export async function editDraft(context: DraftContext, edit: DraftEdit): Promise<ConfigDraft> {
  return changeDraft(context, (draft) => {
    needYaml(context, draft.text);
    const { seen } = edit;
    if (seen && valueDigest(draft.text, seen.path) !== seen.digest) {
      const last = draft.changes.at(-1);
      throw new OperationError(
        'conflict',
        `${seen.path.join('.')} was ${seen.digest === absentDigest ? 'added' : 'changed'} in the meantime${last ? ` (${last.who}: ${last.what})` : ', in the file'}: reload the page to see it`,
      );
    }
    const edits = typeof edit.edits === 'function' ? edit.edits(draft.text) : edit.edits;
    const { after } = edit;
    const open = withoutDecisions(draft.after, edits).filter(({ target }) => target !== after?.target);
    const edited = editText(draft.text, edits);
    const text = isUndone(draft.baseText, edited) ? draft.baseText : edited;
    const why = edit.judge?.(draft.baseText, text) ?? [];
    if (why.length > 0) throw new OperationError('conflict', why.join('\n'));
    return noted(draft, edit, text, after ? [...open, after] : open);
  });
}

/**
 * Replaces the complete text of the draft. Decisions about deliveries belonged to the former text, and are removed.
 *
 * @param change - `seen`: the {@link draftDigest} of the draft, or digest of the file without one, on which it is based
 * @throws OperationError `conflict` if this has changed, `invalid` for invalid YAML
 */
export async function replaceDraft(
  context: DraftContext,
  change: { readonly text: string; readonly what: string; readonly who: Actor; readonly seen: string },
): Promise<ConfigDraft> {
  return changeDraft(context, (draft) => {
    if (draftDigest(draft) !== change.seen) {
      throw new OperationError('conflict', 'the configuration was changed in the meantime: reload the page to see it');
    }
    try {
      configValue(change.text);
    } catch (error) {
      throw new OperationError('invalid', `it is not YAML: ${(error as Error).message}`);
    }
    return noted(draft, change, change.text, []);
  });
}

/**
 * Discards the draft, if it is the one that the user has seen.
 *
 * @param seen - its {@link draftDigest}
 * @returns what was discarded; undefined if there was no draft
 * @throws OperationError `conflict` if another user has changed it in the meantime
 */
export async function discardDraft(context: DraftContext, seen: string): Promise<ConfigDraft | undefined> {
  let discarded: ConfigDraft | undefined;
  await swapDraft(context, async () => {
    const { stored, draft } = await readStored(context);
    if (draft && draftDigest(draft) !== seen) throw new OperationError('conflict', changedMeanwhile);
    discarded = draft;
    return { stored, changed: undefined };
  });
  return discarded;
}

/** Message if a draft is not the one that the user has seen. */
export const changedMeanwhile = 'the draft was changed in the meantime: reload the page to see it';

/** Removes applied changes from the draft; later ones of other users stay changes, on top of them. */
export async function finishDraft(context: DraftContext, applied: ConfigDraft): Promise<void> {
  await swapDraft(context, async () => {
    const { stored, draft } = await readStored(context, applied);
    if (!draft) return { stored, changed: undefined };
    const isOpen = (one: unknown, done: readonly unknown[]): boolean =>
      !done.some((other) => isDeepStrictEqual(one, other));
    const changes = draft.changes.filter((one) => isOpen(one, applied.changes));
    const after = draft.after.filter((one) => isOpen(one, applied.after));
    return { stored, changed: changes.length === 0 ? undefined : { ...draft, changes, after } };
  });
}

async function changeDraft(context: DraftContext, act: (draft: ConfigDraft) => ConfigDraft): Promise<ConfigDraft> {
  return swapDraft(context, async () => {
    const { stored, draft } = await readStored(context);
    const { text, digest } = await context.store.current.read();
    return { stored, changed: act(draft ?? { base: digest, baseText: text, text, changes: [], after: [] }) };
  });
}

/** Replaces the draft, or removes it if it changes nothing; starts again if another user was faster. */
async function swapDraft<T extends ConfigDraft | undefined>(
  { redis, keys, store }: DraftContext,
  next: () => Promise<{ readonly stored: string; readonly changed: T }>,
): Promise<T> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const { stored, changed } = await next();
    const written = changed && changed.text !== changed.baseText ? await signedDraft(store, changed) : '';
    if ((await redis.eval(swapScript, 1, keys.configurationDraft, stored, written)) === 1) return changed;
  }
  throw new OperationError('conflict', 'other users keep changing the draft: try again');
}

/** @param applied - the draft that is now in the file: changes on top of it are merged from there */
async function readStored(
  { redis, keys, store }: DraftContext,
  applied?: ConfigDraft,
): Promise<{ stored: string; draft?: ConfigDraft }> {
  const stored = (await redis.get(keys.configurationDraft)) ?? '';
  if (stored === '') return { stored };
  const draft = await ownDraft(store, stored);
  if (!draft) return { stored };
  const isOnTop =
    applied?.base === draft.base && isDeepStrictEqual(draft.changes.slice(0, applied.changes.length), applied.changes);
  const { text, digest } = await store.current.read();
  if (digest === draft.base) return { stored, draft };
  // The file was edited manually since: both changes are merged, if they affect different lines.
  const merged = mergeConfigs(isOnTop ? applied.text : draft.baseText, draft.text, text);
  if (merged === undefined) return { stored, draft };
  const after = draft.after.filter(({ target }) => isSame(draft.text, merged, ['targets', target]));
  return { stored, draft: { ...draft, base: digest, baseText: text, text: merged, after } };
}

/** Prefix of the signed text: the signature of a version is not valid for a draft. */
const purpose = 'draft of the configuration\n';

/** The stored text of a draft. With `configuration: redis` it is signed, like the configuration, since it becomes the next version. */
async function signedDraft({ current, seal }: ConfigurationStore, draft: ConfigDraft): Promise<string> {
  const json = JSON.stringify(draft);
  return current.kind === 'file' ? json : `${await seal.sign(purpose + json)}\n${json}`;
}

/** The draft of a stored text; undefined if its signature is required and not valid: the next draft then replaces it. */
async function ownDraft({ current, seal }: ConfigurationStore, stored: string): Promise<ConfigDraft | undefined> {
  const start = stored.indexOf('{');
  const json = stored.slice(start);
  const isOwn = current.kind === 'file' || (await seal.isSigned(purpose + json, stored.slice(0, start).trimEnd()));
  return isOwn ? draftSchema.parse(JSON.parse(json)) : undefined;
}

function isSame(one: string, other: string, path: readonly string[]): boolean {
  try {
    return valueDigest(one, path) === valueDigest(other, path);
  } catch {
    return false; // not YAML: unknown
  }
}

/** Decisions preserved by edits: one about an edited target was made for another address. */
function withoutDecisions(after: readonly AfterApply[], edits: readonly ConfigEdit[]): AfterApply[] {
  const edited = new Set<unknown>();
  for (const edit of edits) {
    const [section, target, option] = edit.path;
    if (section !== 'targets' || option === 'enabled') continue;
    if (target === undefined) return [];
    edited.add(target);
    if (edit.kind === 'rename') edited.add(edit.name);
  }
  return after.filter(({ target }) => !edited.has(target));
}

/** Whether edits have restored the content and all comments: only the notation differs, e.g. spaces in a list. */
function isUndone(base: string, edited: string): boolean {
  try {
    if (!isDeepStrictEqual(configValue(base), configValue(edited))) return false;
  } catch {
    return false; // the file is not YAML at the moment
  }
  const comments = (text: string): string[] =>
    [...new Lexer().lex(text)].filter((one) => one.startsWith('#')).toSorted();
  return isDeepStrictEqual(comments(base), comments(edited));
}

function editText(text: string, edits: readonly ConfigEdit[]): string {
  try {
    return editConfig(text, edits);
  } catch (error) {
    throw new OperationError('invalid', (error as Error).message, { cause: error });
  }
}

function noted(
  draft: ConfigDraft,
  edit: Pick<DraftEdit, 'what' | 'who'>,
  text: string,
  after: AfterApply[],
): ConfigDraft {
  if (text.length > maxTextLength) throw new OperationError('invalid', 'the configuration is longer than 2 MiB');
  const change = { at: Date.now(), who: edit.who.name, what: edit.what.slice(0, 200) };
  return { ...draft, text, changes: [...draft.changes, change].slice(-maxChanges), after };
}
