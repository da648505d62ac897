import { routeStudy as applyRules, DispatchError, type CompiledRule } from '@dicom-dispatch/core';
import type { StudyEnqueuer } from '@dicom-dispatch/operations';
import type { Logger } from '@dicom-dispatch/runtime';
import { readSnapshot, type OrthancClient } from '@dicom-dispatch/sources';

export interface RoutingContext {
  readonly source: string;
  readonly orthanc: OrthancClient;
  readonly rules: readonly CompiledRule[];
  readonly enqueuer: StudyEnqueuer;
  readonly log: Logger;
}

export type RoutingOutcome = 'enqueued' | 'known' | 'no-rule' | 'gone';

/**
 * Routes one stable study: reads its tags and its instance set, applies the rules, enqueues. Resolves only when the
 * enqueue is durable. Doing it again for the same content changes nothing.
 *
 * @throws DispatchError when the source or Redis could not be asked
 */
export async function routeOneStudy(
  context: RoutingContext,
  orthancStudyId: string,
  epoch: number,
): Promise<RoutingOutcome> {
  const { source, orthanc, rules, enqueuer, log } = context;
  try {
    const { study, manifest } = await readSnapshot(orthanc, source, orthancStudyId);
    const routing = applyRules(rules, study.facts);
    const { added, studyTaskId } = await enqueuer.enqueue({
      source,
      epoch: String(epoch),
      study,
      manifest,
      ...routing,
    });
    const facts = { source, study: study.studyInstanceUid, studyTask: studyTaskId, instances: manifest.length };
    if (routing.targets.length === 0) {
      log.info(facts, 'no rule matches the study');
      return 'no-rule';
    }
    if (added.length === 0) {
      log.debug(facts, 'study was routed with this content before');
      return 'known';
    }
    log.info(
      {
        ...facts,
        rules: routing.rules,
        deliveries: added.map(({ target, deliveryId }) => ({ target, delivery: deliveryId })),
      },
      'study routed',
    );
    return 'enqueued';
  } catch (error) {
    if (error instanceof DispatchError && error.code === 'source-gone') {
      log.info({ source, orthancStudy: orthancStudyId }, 'a study was deleted before it could be routed');
      return 'gone';
    }
    throw error;
  }
}
