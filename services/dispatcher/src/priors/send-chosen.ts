import { asDispatchError, DispatchError, priorsFromSource, type DeliveryData } from '@dicom-dispatch/core';
import { sendPrior } from '@dicom-dispatch/pipeline';
import { readStudyOfPatient } from '@dicom-dispatch/sources';
import type { ChosenPrior, PriorsStep } from '@dicom-dispatch/state/priors';
import { pullPrior, type PullDependencies } from './pull-prior.ts';

/** How often instances that a target lists but does not return are requested again. */
const maxPulls = 3;

/**
 * - `busy`: another step pulls it, or another pull from the target is running
 * - `unfit`: it belongs to another patient, or could not be retrieved: another one must be chosen
 */
export type Sent =
  | { readonly kind: 'sent'; readonly prior: ChosenPrior }
  | { readonly kind: 'busy' }
  | { readonly kind: 'unfit'; readonly why: string };

/**
 * Sends a prior that was chosen, which is pulled into the source first where that lacks it.
 *
 * @throws DispatchError
 */
export async function sendChosen(
  dependencies: PullDependencies,
  step: PriorsStep,
  prior: ChosenPrior,
  along: DeliveryData,
): Promise<Sent> {
  if (prior.from === priorsFromSource) return { kind: 'sent', prior: await send(dependencies, prior, along) };
  const { source, orthancStudyId, attempts } = step;
  const { identity } = await readStudyOfPatient(dependencies.orthanc, source, orthancStudyId, dependencies.signal);
  const { studyInstanceUid, from } = prior;
  const isLastAsk = attempts + 1 >= maxPulls;
  const pulled = await pullPrior(dependencies, { source, studyInstanceUid, from, identity, isLastAsk });
  if (pulled.kind !== 'there') return pulled;
  const { failed } = pulled;
  const words = `${from} did not send ${failed} instance${failed === 1 ? '' : 's'} of it`;
  if (failed > 0 && !isLastAsk) throw new DispatchError('target-error', words, { stage: 'manifest' });
  const here = { ...prior, orthancStudyId: pulled.orthancStudyId };
  return { kind: 'sent', prior: await send(dependencies, failed > 0 ? { ...here, note: words } : here, along) };
}

async function send(dependencies: PullDependencies, prior: ChosenPrior, along: DeliveryData): Promise<ChosenPrior> {
  const { orthancStudyId } = prior;
  if (orthancStudyId === undefined) return { ...prior, state: 'omitted', note: 'the source does not have it' };
  try {
    const sent = await sendPrior(dependencies, orthancStudyId, along, dependencies.orthanc);
    if (sent.kind === 'omitted') return { ...prior, state: 'omitted', note: sent.why };
    const { deliveryId } = sent.delivery;
    const { state } = (await dependencies.records.delivery(deliveryId)) ?? {};
    return { ...prior, deliveryId, state: !sent.isNew && state === 'delivered' ? 'there' : 'sent' };
  } catch (error) {
    if (asDispatchError(error).code !== 'source-gone') throw error;
    return { ...prior, state: 'omitted', note: 'it has left the source' };
  }
}
