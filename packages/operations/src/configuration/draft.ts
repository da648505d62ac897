import { OperationError, type Actor, type PipelineContext } from '@dicom-dispatch/pipeline';
import {
  configDigest,
  configValue,
  editConfig,
  mergeConfigs,
  type ConfigEdit,
  type ConfigurationStore,
} from '@dicom-dispatch/runtime';
import { z } from 'zod';

/** What is done once a draft is in use, about deliveries of targets that it removed or moved. */
const afterApply = z.discriminatedUnion('act', [
  z.object({ act: z.literal('move'), target: z.string().max(64), to: z.string().max(64) }),
  z.object({ act: z.literal('drop'), target: z.string().max(64) }),
  z.object({ act: z.literal('same-place'), target: z.string().max(64) }),
  z.object({ act: z.literal('new-place'), target: z.string().max(64) }),
]);
export type AfterApply = z.infer<typeof afterApply>;

const draftSchema = z.object({
  /** Digest of the file that it was made from, and its text. */
  base: z.string(),
  baseText: z.string(),
  text: z.string(),
  changes: z.array(z.object({ at: z.number(), who: z.string(), what: z.string() })),
  after: z.array(afterApply),
});

/** The change of the configuration that is being prepared: one for all who edit, so that each sees what others do. */
export type ConfigDraft = z.infer<typeof draftSchema>;

export interface DraftContext extends PipelineContext {
  readonly store: ConfigurationStore;
}

export interface DraftEdit {
  readonly edits: readonly ConfigEdit[];
  /** In words, for the list of changes. */
  readonly what: string;
  readonly who: Actor;
  readonly after?: AfterApply;
  /** Digest of the value of a path as the form showed it; another value now is somebody else's change. */
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

/** The draft, brought up to the file as it is now; undefined when there is none. */
export async function readDraft(context: DraftContext): Promise<ConfigDraft | undefined> {
  return (await readStored(context)).draft;
}

/** The text that an edit starts from: that of the draft, or that of the file. */
export async function draftText(context: DraftContext): Promise<string> {
  return (await readDraft(context))?.text ?? (await context.store.file.read()).text;
}

/** Tells whether the value of a path is still the one that a form was made from. */
export function valueDigest(text: string, path: readonly string[]): string {
  let value = configValue(text);
  for (const key of path) value = (value as Readonly<Record<string, unknown>> | undefined)?.[key];
  return configDigest(JSON.stringify(value) ?? '').slice(0, 16);
}

/**
 * Edits the draft; begins one when there is none.
 *
 * @throws OperationError `conflict` when somebody else has changed the same value, `invalid` when it cannot be edited
 */
export async function editDraft(context: DraftContext, edit: DraftEdit): Promise<ConfigDraft> {
  return changeDraft(context, (draft) => {
    const { seen } = edit;
    if (seen && valueDigest(draft.text, seen.path) !== seen.digest) {
      const last = draft.changes.at(-1);
      throw new OperationError(
        'conflict',
        `${seen.path.join('.')} was changed in the meantime${last ? ` (${last.who}: ${last.what})` : ', in the file'}: load the page again to see it`,
      );
    }
    return noted(draft, edit, editText(draft.text, edit.edits));
  });
}

/** Gives the draft another text as a whole. */
export async function replaceDraft(
  context: DraftContext,
  change: { readonly text: string; readonly what: string; readonly who: Actor; readonly seen?: string | undefined },
): Promise<ConfigDraft> {
  return changeDraft(context, (draft) => {
    if (change.seen !== undefined && configDigest(draft.text) !== change.seen) {
      throw new OperationError(
        'conflict',
        'the configuration was changed in the meantime: load the page again to see it',
      );
    }
    try {
      configValue(change.text);
    } catch (error) {
      throw new OperationError('invalid', `it is not YAML: ${(error as Error).message}`);
    }
    return noted(draft, change, change.text);
  });
}

export async function discardDraft({ redis, keys }: Pick<DraftContext, 'redis' | 'keys'>): Promise<void> {
  await redis.del(keys.configurationDraft);
}

async function changeDraft(context: DraftContext, act: (draft: ConfigDraft) => ConfigDraft): Promise<ConfigDraft> {
  const { redis, keys, store } = context;
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const { stored, draft } = await readStored(context);
    const { text, digest } = await store.file.read();
    const changed = act(draft ?? { base: digest, baseText: text, text, changes: [], after: [] });
    const isNothing = changed.text === changed.baseText;
    const written = await redis.eval(
      swapScript,
      1,
      keys.configurationDraft,
      stored,
      isNothing ? '' : JSON.stringify(changed),
    );
    if (written === 1) return changed;
  }
  throw new OperationError('conflict', 'others change the draft all the time: try again');
}

async function readStored({ redis, keys, store }: DraftContext): Promise<{ stored: string; draft?: ConfigDraft }> {
  const stored = (await redis.get(keys.configurationDraft)) ?? '';
  if (stored === '') return { stored };
  const draft = draftSchema.parse(JSON.parse(stored));
  const { text, digest } = await store.file.read();
  if (digest === draft.base) return { stored, draft };
  // The file was edited by hand since: both changes count, where they concern other lines.
  const merged = mergeConfigs(draft.baseText, draft.text, text);
  if (merged === undefined) return { stored, draft };
  return { stored, draft: { ...draft, base: digest, baseText: text, text: merged } };
}

function editText(text: string, edits: readonly ConfigEdit[]): string {
  try {
    return editConfig(text, edits);
  } catch (error) {
    throw new OperationError('invalid', (error as Error).message, { cause: error });
  }
}

function noted(draft: ConfigDraft, edit: Pick<DraftEdit, 'what' | 'who' | 'after'>, text: string): ConfigDraft {
  if (text.length > maxTextLength) throw new OperationError('invalid', 'the configuration is longer than 2 MiB');
  const change = { at: Date.now(), who: edit.who.name, what: edit.what.slice(0, 200) };
  const others = draft.after.filter(({ target }) => target !== edit.after?.target);
  return {
    ...draft,
    text,
    changes: [...draft.changes, change].slice(-maxChanges),
    after: edit.after ? [...others, edit.after] : draft.after,
  };
}
