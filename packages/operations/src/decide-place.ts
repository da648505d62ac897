import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { describePlace, targetPlace } from '@dicom-dispatch/core';
import type { PlaceDecision } from '@dicom-dispatch/state/target-places';
import { jobPlaces, OperationError, type PipelineContext } from '@dicom-dispatch/pipeline';
import type { Queue } from 'bullmq';
import { promoteTarget } from './change-target.ts';

const maxWaitMs = 3_000;
const lookEveryMs = 50;

export interface DecidedPlace {
  /** Current address of the target, as text. */
  readonly place: string;
  /** Name of the ledger of its content. */
  readonly ledger: string;
  /** Number of waiting deliveries that were started. */
  readonly resumed: number;
}

/**
 * Decides on a target whose configuration has another address: its contents moved too (`same`: the ledger is kept) or it is
 * another place (`new`: a new ledger begins, the former one stays with the former place). Waiting deliveries continue.
 *
 * @throws OperationError `not-found`; `conflict` if there is nothing to decide, or for `same` while deliveries to the former
 *   place run
 */
export async function decidePlace(
  context: PipelineContext,
  target: string,
  decision: PlaceDecision,
): Promise<DecidedPlace> {
  const queue = context.queues.known(context.config(), target);
  const config = context.config().targets[target];
  if (!config) throw new OperationError('not-found', `there is no target "${target}"`);
  const verdict = await context.places.look(target, config);
  if (verdict.kind === 'known') throw nothingToDecide(target, describePlace(verdict.place));
  const active = decision === 'same' ? await countUnderWay(context, queue) : 0;
  if (active > 0) {
    throw new OperationError(
      'conflict',
      `${active} ${active === 1 ? 'delivery is' : 'deliveries are'} still in progress to ${describePlace(verdict.was)}: wait until they end, or cancel them`,
    );
  }
  const ledger = await context.places.decide(target, config, decision);
  const place = describePlace(targetPlace(config));
  if (ledger === undefined) throw nothingToDecide(target, place);
  return { place, ledger, resumed: await promoteTarget(context, target) };
}

/**
 * Number of deliveries that a dispatcher is running. Those of a killed dispatcher are not counted: another dispatcher checks the
 * place before it continues them. Deliveries for which only the place is being checked are released within moments, so the count
 * is repeated for some time.
 */
async function countUnderWay({ redis }: PipelineContext, queue: Queue): Promise<number> {
  const end = performance.now() + maxWaitMs;
  for (;;) {
    const places = await jobPlaces(redis, queue, await queue.getRanges(['active']));
    const active = places.filter(({ state }) => state === 'active').length;
    if (active === 0 || performance.now() > end) return active;
    await delay(lookEveryMs);
  }
}

function nothingToDecide(target: string, place: string): OperationError {
  return new OperationError('conflict', `${target} is still at ${place}: no decision is needed`);
}
