import { Priors, type LookedAtPrior, type PriorsStep } from '@dicom-dispatch/state/priors';
import type { StudyLabel } from '../source/source-lookup.ts';
import type { LookedAtPriorView, PriorsOfStudy } from './schemas.ts';
import { keyOf, labelsOf } from './summarize-studies.ts';
import type { ViewContext } from './view-context.ts';

/** Earlier studies that are sent with a study, by target, with the reason of the choice and the states of their deliveries. */
export async function showPriors(
  context: ViewContext,
  study: { readonly source: string; readonly orthancStudyId: string },
): Promise<PriorsOfStudy[]> {
  const { redis, config, operations } = context;
  const steps = await new Priors(redis, config().redis.prefix).of(study);
  const known = steps.flatMap(({ chosen, left }) => [...chosen, ...left].flatMap((one) => keysOf(study.source, one)));
  const labels = known.length === 0 ? new Map<string, StudyLabel>() : await labelsOf(context, known);
  return Promise.all(steps.map(showStep));

  async function showStep(step: PriorsStep): Promise<PriorsOfStudy> {
    const { target, state, openedAt, waitUntil, note, nextAttemptAt, leftCount } = step;
    return {
      target,
      state,
      openedAt,
      ...(waitUntil !== undefined && { waitUntil }),
      isLate: step.isLate === true,
      ...(note !== undefined && { note }),
      ...(nextAttemptAt !== undefined && { nextAttemptAt }),
      chosen: await Promise.all(
        step.chosen.map(async ({ deliveryId, ...one }) => {
          const delivery = deliveryId === undefined ? undefined : await operations.records.delivery(deliveryId);
          return {
            ...look(one),
            state: one.state,
            ...(one.note !== undefined && { note: one.note }),
            ...(delivery && { deliveryId: delivery.deliveryId, deliveryState: delivery.state }),
          };
        }),
      ),
      left: step.left.map(look),
      leftCount,
    };
  }

  function look(prior: LookedAtPrior): LookedAtPriorView {
    const { studyInstanceUid, orthancStudyId, from, why } = prior;
    const [key] = keysOf(study.source, prior);
    const label = key && labels.get(keyOf(key));
    return {
      studyInstanceUid,
      ...(orthancStudyId !== undefined && { orthancStudyId }),
      from,
      why,
      ...(label && { description: label.description, studyDate: label.studyDate }),
    };
  }
}

function keysOf(source: string, { orthancStudyId, studyInstanceUid }: LookedAtPrior) {
  return orthancStudyId === undefined ? [] : [{ source, orthancStudyId, studyInstanceUid }];
}
