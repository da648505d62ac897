import {
  actOnMany,
  cancelDelivery,
  findDelivery,
  holdDelivery,
  previewMany,
  releaseDelivery,
  reopenDelivery,
  resolveDelivery,
  sendFirst,
  tryNow,
  type BulkAction,
  type BulkPreview,
} from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { CommandError, exitCodes } from '../exit.ts';
import type { SelectionOptions } from '../commands/options.ts';
import { confirm } from './confirm.ts';
import { findStudy } from './find-study.ts';
import { formatTable } from './print-table.ts';
import { withSystem, type System } from './with-system.ts';

export interface ActOptions extends SelectionOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly all?: boolean;
  readonly dryRun?: boolean;
  /** Of `resolve`. */
  readonly reason?: string;
  /** Of `retry`. */
  readonly first?: boolean;
  /** Of `retry`: also outside the schedule. */
  readonly anyway?: boolean;
}

interface Outcome {
  readonly deliveryId: string;
  readonly target: string;
  readonly done: boolean;
  /** Why it was not done. */
  readonly why: string | undefined;
  /** Its result. */
  readonly did?: string;
}

const onOne = {
  cancel: cancelDelivery,
  hold: holdDelivery,
  release: releaseDelivery,
  resolve: resolveDelivery,
  reopen: reopenDelivery,
  first: sendFirst,
} as const;

const past: Readonly<Record<BulkAction, string>> = {
  retry: 'retried',
  cancel: 'cancelled',
  hold: 'held',
  release: 'released',
  resolve: 'resolved',
  reopen: 'reopened',
  first: 'sent first',
};

/** Applies an action to the named deliveries, or to all that match a filter, after a confirmation. */
export async function actNow(action: BulkAction, ids: readonly string[], options: ActOptions): Promise<void> {
  const { target, state, stage, code, rule, source, since, until } = options;
  const filter = { target, state, stage, code, rule, source, since, until };
  const given = Object.entries(filter).filter(([, value]) => value !== undefined);
  if (ids.length === 0 && given.length === 0 && options.all !== true) {
    throw new CommandError(
      'give deliveries or studies, or a filter such as --target or --state, or --all',
      exitCodes.usage,
    );
  }
  const odd = given.find(([name]) => name !== 'target');
  if (ids.length > 0 && odd) {
    throw new CommandError(`--${odd[0]} is a filter: with ids only --target is allowed`, exitCodes.usage);
  }
  if (ids.length === 0 && options.first === true) {
    throw new CommandError('--first takes ids; for a filter: dispatch first --state waiting …', exitCodes.usage);
  }
  await withSystem(options.config, (system) =>
    ids.length > 0 ? actOnNamed(system, action, ids, options) : actOnFiltered(system, action, filter, options),
  );
}

async function actOnNamed(system: System, action: BulkAction, ids: readonly string[], options: ActOptions) {
  const outcomes: Outcome[] = [];
  let isWhole = true;
  for (const id of ids) {
    const meant = await deliveriesOf(system, id, options.target);
    const ofThis = await Promise.all(meant.map((one) => actOnOne(system, action, one, options)));
    outcomes.push(...ofThis);
    // For a study with several targets, an inapplicable action for one of them is not a failure.
    isWhole &&= ofThis.some(({ done }) => done);
  }
  if (options.json === true) console.log(JSON.stringify(outcomes, undefined, 2));
  else {
    console.log(
      formatTable(
        ['delivery', 'target', 'result'],
        outcomes.map(({ deliveryId, target, done, why }) => [
          deliveryId,
          target,
          done ? (options.dryRun === true ? 'would be retried' : past[action]) : `not ${past[action]}: ${why ?? ''}`,
        ]),
      ),
    );
    const [only, ...others] = outcomes;
    if (only?.did !== undefined && others.length === 0) console.log(only.did);
  }
  if (!isWhole) process.exitCode = exitCodes.failed;
}

/** @throws OperationError `not-found` */
async function deliveriesOf(system: System, id: string, target: string | undefined) {
  if (/^d-[0-9a-f]{20}$/.test(id)) return [await findDelivery(system.operations, id)];
  const { deliveries, studyInstanceUid } = await findStudy(system, id);
  const meant = deliveries.filter((each) => target === undefined || each.target === target);
  if (meant.length > 0) return meant;
  const to = target === undefined ? '' : ` to ${target}`;
  throw new OperationError('not-found', `there is no delivery of study ${studyInstanceUid}${to}`);
}

async function actOnOne(
  system: System,
  action: BulkAction,
  delivery: { readonly deliveryId: string; readonly target: string },
  { dryRun = false, reason, first = false, anyway = false }: ActOptions,
): Promise<Outcome> {
  const { deliveryId, target } = delivery;
  if (dryRun) return { deliveryId, target, done: true, why: undefined };
  try {
    if (action === 'retry') {
      const { did } = await system.audited({ action, subject: deliveryId }, () =>
        tryNow(system.operations, deliveryId, system.actor, { anyway }),
      );
      if (first) await sendFirst(system.operations, deliveryId, system.actor).catch(unlessBegun);
      return { deliveryId, target, done: true, why: undefined, did };
    }
    const done = await system.audited<unknown>({ action, subject: deliveryId }, () =>
      onOne[action](system.operations, deliveryId, system.actor, reason),
    );
    return { deliveryId, target, done: done !== false, why: done === false ? 'it was not held' : undefined };
  } catch (error) {
    if (!(error instanceof OperationError) || error.code !== 'conflict') throw error;
    return { deliveryId, target, done: false, why: error.message };
  }
}

async function actOnFiltered(
  system: System,
  action: BulkAction,
  filter: SelectionOptions,
  options: ActOptions,
): Promise<void> {
  const preview = await previewMany(system.operations, action, filter);
  const { count, byTarget } = preview;
  if (options.dryRun === true) {
    console.log(options.json === true ? JSON.stringify({ count, byTarget }) : previewText(action, preview));
    return;
  }
  if (count > 0 && options.yes !== true) await confirm(previewText(action, preview));
  const why = options.reason === undefined ? '' : `, ${options.reason}`;
  const subject = `${action} ${JSON.stringify(filter)}${why}`;
  const result = await system.audited({ action: 'bulk', subject }, () =>
    actOnMany(system.operations, action, filter, system.actor, options.reason),
  );
  console.log(options.json === true ? JSON.stringify(result) : `${action}: ${result.done} of ${result.matched} done`);
  if (result.done < result.matched) process.exitCode = exitCodes.failed;
}

function previewText(action: BulkAction, { count, byTarget }: BulkPreview): string {
  const targets = Object.entries(byTarget).map(([name, each]) => `${name}: ${each}`);
  const list = targets.length > 0 ? ` (${targets.join(', ')})` : '';
  return `${action} would affect ${count} ${count === 1 ? 'delivery' : 'deliveries'}${list}`;
}

/** Ignores the `conflict` of a delivery that has begun meanwhile: it needs no position in the queue. */
export function unlessBegun(error: unknown): void {
  if (!(error instanceof OperationError) || error.code !== 'conflict') throw error;
}
