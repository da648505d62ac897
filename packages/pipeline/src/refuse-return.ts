import type { Records } from '@dicom-dispatch/state/records';
import { givesNewUids, sourceOfTarget, type Config, type TransformConfig } from '@dicom-dispatch/core';

export interface StudyOnItsWay {
  readonly source: string;
  readonly studyInstanceUid: string;
  /** AE titles from which its instances came; an empty text for one that came another way. */
  readonly senders: ReadonlySet<string>;
}

/**
 * Why a study must not go to a target, because it would go back where it came from; undefined when it may.
 *
 * - the target is the very source, and the instances would have the UIDs that they have there
 * - all of its instances were sent by the AE title that the target has
 * - the target is a source from which we brought the study here
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
    return via !== undefined && sourceOfTarget(via, config.sources) === study.source;
  });
  return came && `it was copied here from ${targetSource}, which is ${target}`;
}
