import { createInterface } from 'node:readline/promises';
import {
  actOnMany,
  cancelDelivery,
  holdDelivery,
  OperationError,
  previewMany,
  releaseDelivery,
  retryDelivery,
  type BulkAction,
} from '@dicom-dispatch/operations';
import { CommandError, exitCodes } from '../exit.ts';
import { findStudy } from './find-study.ts';
import { withSystem, type System } from './with-system.ts';

export interface ActOptions {
  readonly config: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly all?: boolean;
  readonly target?: string;
  readonly state?: string;
  readonly stage?: string;
  readonly code?: string;
  readonly rule?: string;
  readonly since?: number;
}

const one = { retry: retryDelivery, cancel: cancelDelivery, hold: holdDelivery, release: releaseDelivery } as const;

/** Does one thing to the deliveries that are named, or to all that a filter means, after asking. */
export async function actNow(action: BulkAction, ids: readonly string[], options: ActOptions): Promise<void> {
  const { target, state, stage, code, rule, since } = options;
  const filter = { target, state: state as never, stage: stage as never, code, rule, since };
  const isFiltered = Object.values(filter).some((value) => value !== undefined);
  if (ids.length === 0 && !isFiltered && options.all !== true) {
    throw new CommandError(
      `name deliveries, or a filter (--target, --state, --stage, --code, --rule, --since), or --all`,
      exitCodes.usage,
    );
  }
  await withSystem(options.config, async (system) => {
    const result =
      ids.length > 0
        ? await actOnNamed(system, action, ids, target)
        : await actOnFiltered(system, action, filter, options);
    if (!result) return;
    console.log(options.json === true ? JSON.stringify(result) : `${action}: ${result.done} of ${result.matched} done`);
    if (result.done < result.matched) process.exitCode = exitCodes.failed;
  });
}

async function actOnNamed(system: System, action: BulkAction, ids: readonly string[], target: string | undefined) {
  let matched = 0;
  let done = 0;
  for (const id of ids) {
    const deliveries = /^d-[0-9a-f]{20}$/.test(id)
      ? [id]
      : (await findStudy(system, id)).deliveries
          .filter((each) => target === undefined || each.target === target)
          .map((each) => each.deliveryId);
    for (const deliveryId of deliveries) {
      matched += 1;
      try {
        await one[action](system.operations, deliveryId, system.actor);
        done += 1;
      } catch (error) {
        if (!(error instanceof OperationError)) throw error;
        console.error(`dispatch: ${error.message}`);
      }
    }
  }
  return { matched, done };
}

async function actOnFiltered(
  system: System,
  action: BulkAction,
  filter: Parameters<typeof previewMany>[2],
  options: ActOptions,
) {
  const preview = await previewMany(system.operations, action, filter);
  const byTarget = Object.entries(preview.byTarget).map(([name, count]) => `${name}: ${count}`);
  if (preview.count > 0 && options.yes !== true) {
    if (!process.stdin.isTTY)
      throw new CommandError(`${action} would reach ${preview.count} deliveries; say --yes to do it`, exitCodes.usage);
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    const answer = await lines.question(`${action} ${preview.count} deliveries (${byTarget.join(', ')})? [y/N] `);
    lines.close();
    if (!/^y(es)?$/i.test(answer.trim())) return undefined;
  }
  return actOnMany(system.operations, action, filter, system.actor);
}
