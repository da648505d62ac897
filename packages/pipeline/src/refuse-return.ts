import type { DeliveryRecord, Records } from '@dicom-dispatch/state/records';
import { givesNewUids, sourceOfTarget, type Config, type TransformConfig } from '@dicom-dispatch/core';

export interface StudyOnItsWay {
  readonly source: string;
  readonly orthancStudyId: string;
  readonly studyInstanceUid: string;
  /** AE titles that sent its instances; an empty text for an instance received in another way. */
  readonly senders: ReadonlySet<string>;
}

/**
 * Why a study must not be sent to a target, because it would return to its origin; undefined if it may be sent.
 *
 * - the target is the source itself, and the instances would have the same UIDs as there
 * - all of its instances were sent by the AE title of the target
 * - the target is a source from which the study of the same patient was brought here
 */
export async function reasonForReturn(
  config: Config,
  records: Pick<Records, 'deliveriesOfUid'>,
  study: StudyOnItsWay,
  target: string,
  transform: TransformConfig | undefined,
): Promise<string | undefined> {
  const targetConfig = config.targets[target];
  if (!targetConfig || (transform && givesNewUids(transform))) return undefined;
  const targetSource = sourceOfTarget(targetConfig, config.sources);
  if (targetSource === study.source) return `${target} is the source ${study.source} itself`;
  const aet = (targetConfig as { readonly calledAeTitle?: unknown }).calledAeTitle;
  if (typeof aet === 'string' && study.senders.size === 1 && study.senders.has(aet)) {
    return `it came from ${aet}, which is ${target}`;
  }
  if (targetSource === undefined) return undefined;
  const earlier = await records.deliveriesOfUid(study.studyInstanceUid, targetSource);
  const came = earlier.find((delivery) => {
    const via = config.targets[delivery.target];
    return via !== undefined && sourceOfTarget(via, config.sources) === study.source && canBe(delivery, study);
  });
  return came && `it was copied here from ${targetSource}, which is ${target}`;
}

/**
 * Whether a delivery of a study with the same Study Instance UID may have brought this study: not that of another patient,
 * nor one that has sent nothing.
 */
function canBe(delivery: DeliveryRecord, { orthancStudyId }: StudyOnItsWay): boolean {
  // A transform may give it another patient, and therefore another id, during the transfer.
  const isSame = delivery.transform !== undefined || delivery.orthancStudyId === orthancStudyId;
  return isSame && (delivery.confirmed > 0 || delivery.state === 'active' || delivery.state === 'delivered');
}
