import { OperationError, type Actor } from '@dicom-dispatch/pipeline';
import { changeConfiguration, configValue, judgeText, type ConfigChangeResult } from '@dicom-dispatch/runtime';
import { decidePlace } from '../decide-place.ts';
import { dropOrphan, isOrphan, moveOrphan } from '../orphans.ts';
import { changedMeanwhile, draftDigest, finishDraft, readDraft, type AfterApply, type DraftContext } from './draft.ts';
import { editorProblems } from './editor-rights.ts';

export interface ApplyWish {
  readonly actor: Actor;
  /** An editor may not apply changes that require an administrator. */
  readonly isEditor: boolean;
  readonly reason: string;
  /** The draftDigest of the draft that the user has seen: later changes of others are not applied unseen. */
  readonly seen: string;
}

export interface AppliedChange {
  /** Undefined if it could not be recorded; the notes contain the reason. */
  readonly version: number | undefined;
  /** Number of processes that use it; 0 if none runs. */
  readonly answered: number;
  /** Running processes that have not confirmed it; they read it when they start again. */
  readonly silent: readonly string[];
  /** Results for waiting deliveries of removed or moved targets, and additional errors, as text. */
  readonly notes: readonly string[];
}

/**
 * Applies the draft in all services, or in none.
 *
 * @throws OperationError `not-found` if there is no draft; `conflict` if it is not the one that the user has seen, needs an
 *   administrator, or the configuration was changed in between; `invalid` if it cannot be used; `unavailable` if a service does
 *   not respond or cannot apply it, or Redis cannot be reached
 */
export async function applyDraft(context: DraftContext, wish: ApplyWish): Promise<AppliedChange> {
  const draft = await readDraft(context);
  if (!draft) throw new OperationError('not-found', 'there is no change to apply');
  if (draftDigest(draft) !== wish.seen) throw new OperationError('conflict', changedMeanwhile);
  const now = await context.store.current.read();
  if (now.digest !== draft.base)
    throw new OperationError(
      'conflict',
      `${changedWords(context)}, in the same lines: discard this change and make it again`,
    );
  if (wish.isEditor) {
    const why = editorProblems(configValue(draft.baseText), configValue(draft.text));
    if (why.length > 0) throw new OperationError('conflict', `an administrator must apply this: ${why.join('; ')}`);
  }
  const applied = await applyText(context, { text: draft.text, base: draft.base, ...wish });
  const notes = [...applied.notes];
  try {
    await finishDraft(context, draft);
  } catch (error) {
    notes.push(`it may still be shown as a pending change, although it is in use (${(error as Error).message})`);
  }
  for (const after of draft.after) notes.push(await settle(context, after, wish.actor));
  return { ...applied, notes };
}

/**
 * Applies a former version in all services, or in none.
 *
 * @throws OperationError `not-found` if the version does not exist, `conflict` if it is in use; others as {@link applyText}
 */
export async function restoreVersion(
  context: DraftContext,
  number: number,
  wish: { readonly actor: Actor; readonly reason: string },
): Promise<AppliedChange> {
  const version = await context.store.versions.read(number);
  if (!version) throw new OperationError('not-found', `there is no version ${number}`);
  const { digest } = await context.store.current.read();
  if (digest === version.digest) throw new OperationError('conflict', `version ${number} is in use already`);
  const reason = wish.reason === '' ? `version ${number} restored` : wish.reason;
  return applyText(context, { text: version.text, base: digest, ...wish, reason });
}

/** Result for users: the processes that use it, then the notes. */
export function appliedWords({ version, answered, silent, notes }: AppliedChange): string[] {
  const what = version === undefined ? 'The change' : `Version ${version}`;
  if (silent.length > 0)
    return [
      `${what} is in use, but not confirmed by ${silent.join(', ')}: restart each process that still does not respond.`,
      ...notes,
    ];
  if (answered === 0) return [`${what} is in place. No service is running that could use it.`, ...notes];
  return [`All services use ${version === undefined ? 'the change' : `version ${version}`}.`, ...notes];
}

/**
 * Applies a text in all services, or in none.
 *
 * @param change - `base`: digest of the version that it replaces; empty if there is no configuration yet
 * @throws OperationError `invalid` if it cannot be used; `conflict` if the configuration was changed since `base`, or another
 *   change is being applied; `unavailable` if a service does not respond or cannot apply it, or Redis cannot be reached
 */
export async function applyText(
  { redis, store, config }: DraftContext,
  change: { readonly text: string; readonly base: string; readonly actor: Actor; readonly reason: string },
): Promise<AppliedChange> {
  const { problems } = await judgeText(store, change.text);
  if (problems.length > 0)
    throw new OperationError(
      'invalid',
      problems.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'),
    );
  let result: ConfigChangeResult;
  try {
    result = await changeConfiguration(
      { redis, prefix: config().redis.prefix, current: store.current, versions: store.versions },
      { text: change.text, base: change.base, author: change.actor.name, reason: change.reason },
    );
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (code === undefined) throw error;
    const what = ofNetwork.test(code) ? 'Redis cannot be reached' : `${path ?? store.current.title} cannot be changed`;
    throw new OperationError('unavailable', `${what} (${code}): nothing was changed`, { cause: error });
  }
  const { outcome, answers, version, silent, reasons = [] } = result;
  if (outcome === 'applied') return { version, answered: answers.length, silent, notes: [...reasons] };
  const what =
    outcome === 'stale' ? `Nothing was changed: ${changedWords({ store })} at the same moment.` : words[outcome];
  throw new OperationError(codes[outcome], [what, ...reasons, ...details(result)].join('\n'));
}

/** How the configuration has changed apart from the draft. */
export function changedWords({ store }: Pick<DraftContext, 'store'>): string {
  return store.current.kind === 'file'
    ? 'the file was edited by hand'
    : 'the configuration was changed by a restore or an import';
}

const ofNetwork = /^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/;
const codes = {
  refused: 'unavailable',
  undone: 'unavailable',
  unsettled: 'unavailable',
  stale: 'conflict',
  busy: 'conflict',
} as const;
const words = {
  refused: 'Nothing was changed: not every service can use it.',
  undone: 'A service could not apply the change: the previous configuration is in use again.',
  unsettled:
    'The change was started, but could be neither applied nor undone on all services: they may use different configurations. Correct the cause, then reload the configuration.',
  busy: 'Nothing was changed: another change is being applied.',
} as const;

function details({ answers, silent }: ConfigChangeResult): string[] {
  return [
    ...answers.flatMap(({ services, process, reasons }) =>
      reasons.map((reason) => `${services.join(', ')} (${process}): ${reason}`),
    ),
    ...silent.map((name) => `${name} has not responded: stop it, or wait until it responds`),
  ];
}

/** Decisions about waiting deliveries; those that fail are reported and can be executed on the page of the target. */
async function settle(context: DraftContext, after: AfterApply, actor: Actor): Promise<string> {
  const { target } = after;
  try {
    if (after.act === 'same-place' || after.act === 'new-place') {
      const { ledger } = await decidePlace(context, target, after.act === 'same-place' ? 'same' : 'new');
      return `${target}: ${after.act === 'same-place' ? 'existing confirmations stay valid' : 'nothing is confirmed'} (ledger ${ledger})`;
    }
    if (!(await isOrphan(context, target))) return `${target}: no delivery was waiting`;
    const { done, left } =
      after.act === 'move'
        ? await moveOrphan(context, target, after.to, actor)
        : await dropOrphan(context, target, actor);
    const what = after.act === 'move' ? `moved to ${after.to}` : 'cancelled';
    return `${target}: ${done} ${what}${left > 0 ? `, ${left} are still under way` : ''}`;
  } catch (error) {
    // The change is in use: a failure that concerns deliveries must not be reported as a failure of the change.
    return `${target}: ${(error as Error).message}`;
  }
}
