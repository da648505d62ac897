import { priorsFromSource, type DeliveryData, type PatientIdentity } from '@dicom-dispatch/core';
import { lookForPriors, orthancIdOf, type SendPriorContext } from '@dicom-dispatch/pipeline';
import type { OrthancClient } from '@dicom-dispatch/sources';
import type { ChosenPrior, LookedAtPrior, PriorsStep } from '@dicom-dispatch/state/priors';

/** Maximum number of stored studies that were not chosen. */
const maxNotChosen = 50;

export interface ChooseDependencies extends SendPriorContext {
  readonly orthanc: OrthancClient;
  readonly signal: AbortSignal;
  readonly now: Date;
  /** The wait for unavailable targets is over: those that do not respond are skipped. */
  readonly isLastTry: boolean;
}

/**
 * Chooses the priors of a step.
 *
 * @param along - the delivery with which they are sent
 * @throws DispatchError if the source or a target does not respond
 */
export async function choose(
  dependencies: ChooseDependencies,
  step: PriorsStep,
  along: DeliveryData,
): Promise<PriorsStep> {
  const { note: _, nextAttemptAt: __, ...rest } = step;
  const { isLastTry: withoutSilent } = dependencies;
  const { identity, chosen, left, notes } = await lookForPriors({ ...dependencies, withoutSilent }, step);
  return {
    ...rest,
    attempts: 0,
    state: 'sending',
    chosen: await Promise.all(chosen.map((one) => asChosen(dependencies, one, along, identity))),
    left: left.slice(0, maxNotChosen),
    leftCount: left.length,
    ...(notes.length > 0 && { note: notes.join('; ') }),
  };
}

/** Studies of the target itself are not pulled: they were delivered there before, or were found there. */
async function asChosen(
  { records }: SendPriorContext,
  prior: LookedAtPrior,
  { source, target, transform }: DeliveryData,
  { patientId }: PatientIdentity,
): Promise<ChosenPrior> {
  if (prior.from === priorsFromSource) return { ...prior, state: 'chosen' };
  if (prior.from === target && !transform) return { ...prior, state: 'there' };
  const orthancStudyId = orthancIdOf(patientId, prior.studyInstanceUid);
  const before = (await records.deliveriesOf({ source, orthancStudyId }, 50)).find(
    (one) => one.target === target && one.state === 'delivered' && one.transform?.name === transform?.name,
  );
  return before
    ? { ...prior, orthancStudyId, deliveryId: before.deliveryId, state: 'there' }
    : { ...prior, state: 'chosen' };
}
