import type { Config, PlannedDelivery } from '@dicom-dispatch/core';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { LookedAtPrior, Priors } from '@dicom-dispatch/state/priors';
import { foreseePriors, foreseePriorsWithinMs, type ForeseenPriors } from './foresee-priors.ts';

/** Earlier studies of the patient that would be sent to one target with a study that was routed before. */
export interface ReplayedPriors {
  readonly target: string;
  readonly chosen: ForeseenPriors['chosen'];
  /** Study Instance UIDs that would be sent in addition to those that were chosen then. */
  readonly added: readonly string[];
  /** Study Instance UIDs of those that were chosen then, and would not be now. */
  readonly removed: readonly string[];
  /** Why there are none, or which archives were not queried. */
  readonly note?: string;
}

export interface PriorsBudget {
  /** The priors of studies as they were chosen. */
  readonly recorded: Pick<Priors, 'of'>;
  /** Maximum number of studies whose priors are searched. */
  readonly studies: number;
  /** Maximum duration of all searches together. */
  readonly withinMs: number;
}

interface Wanted {
  readonly config: Config;
  readonly orthanc: OrthancClient;
  readonly now: Date;
  readonly source: string;
  readonly orthancStudyId: string;
  /** The deliveries that would be created, with the name of each target. */
  readonly planned: readonly { readonly target: string; readonly delivery: Pick<PlannedDelivery, 'priors'> }[];
}

/** Searches priors of replayed studies until the budget is used up. */
export function replayPriors({ recorded, studies, withinMs }: PriorsBudget) {
  const until = performance.now() + withinMs;
  let searched = 0;

  /** By target, where rules request priors or did so then; undefined if the budget is used up. */
  return async (wanted: Wanted): Promise<ReplayedPriors[] | undefined> => {
    const then = await recorded.of(wanted);
    const names = new Set([
      ...wanted.planned.filter(({ delivery }) => delivery.priors).map(({ target }) => target),
      ...then.map(({ target }) => target),
    ]);
    if (names.size === 0) return [];
    const leftMs = Math.min(Math.floor(until - performance.now()), foreseePriorsWithinMs);
    searched += 1;
    if (searched > studies || leftMs <= 0) return undefined;
    return Promise.all([...names].sort().map(one));

    async function one(target: string): Promise<ReplayedPriors> {
      const steps = then.filter((step) => step.target === target);
      const unfit: LookedAtPrior[] = steps.flatMap((step) => step.unfit ?? []);
      const delivery = wanted.planned.find((each) => each.target === target)?.delivery ?? {};
      const found = await foreseePriors({ ...wanted, withinMs: leftMs }, { ...wanted, unfit }, delivery);
      const { chosen = [], note } = found ?? {};
      const [before, after] = [steps.flatMap((step) => uidsOf(step.chosen)), uidsOf(chosen)];
      // The earlier choice is unknown while it is still being made.
      const isKnown = steps.every(({ state }) => state !== 'looking');
      return {
        target,
        chosen,
        added: isKnown ? after.filter((uid) => !before.includes(uid)) : [],
        removed: isKnown ? [...new Set(before)].filter((uid) => !after.includes(uid)) : [],
        ...(note !== undefined && { note }),
      };
    }
  };
}

function uidsOf(priors: readonly { readonly studyInstanceUid: string }[]): string[] {
  return priors.map(({ studyInstanceUid }) => studyInstanceUid);
}
