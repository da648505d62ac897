import type { IntermediateCache } from '@dicom-dispatch/cache/intermediate';
import {
  contentHash,
  routeStudy as applyRules,
  type CompiledRule,
  type Config,
  type ManifestInstance,
  type PlannedDelivery,
} from '@dicom-dispatch/core';
import { isMarkedPulled, pullsPriors, readForRouting, wasPulled, type StudyEnqueuer } from '@dicom-dispatch/pipeline';
import type { Logger } from '@dicom-dispatch/runtime';
import type { OrthancClient, StudyFacts, StudySnapshot } from '@dicom-dispatch/sources';
import type { PulledStudies } from '@dicom-dispatch/state/priors';
import type { Records } from '@dicom-dispatch/state/records';
import { ifRecent, type RecentSnapshot } from './read-together.ts';
import type { SettledStudies } from './recovery/settled.ts';
import type { WaitingStudies } from './waiting-studies.ts';

export interface RoutingContext {
  readonly source: string;
  readonly orthanc: OrthancClient;
  readonly config: Config;
  readonly rules: readonly CompiledRule[];
  readonly enqueuer: StudyEnqueuer;
  readonly waiting: WaitingStudies;
  readonly records: Records;
  /** Studies that are being pulled into sources. */
  readonly pulled: PulledStudies;
  /** For the data of the rules, and for the following deliveries. */
  readonly cache: IntermediateCache;
  /** Studies that are not sent again, or only in part, until they change. */
  readonly settled: SettledStudies;
  /** The source's clock. */
  readonly now: Date;
  /** Studies that have not changed since are delivered after all others, `YYYYMMDDTHHMMSS`. */
  readonly oldBefore: string | undefined;
  /** Whether a study arrived later than its dates show. */
  isMisdated(orthancStudyId: string): Promise<boolean>;
  /** Ensures that Redis still has its data: a previously routed study must not be treated as new. */
  confirm(): Promise<void>;
  /** Continues deliveries that ended because the study had left the source. */
  takeBack(orthancStudyId: string): Promise<void>;
  readonly log: Logger;
}

/**
 * - `enqueued`: at least one delivery is new
 * - `known`: it was routed with this content before, or was pulled into the source as a prior
 * - `waiting`: rules match, and all of them wait until it is complete
 * - `no-rule`: no rule matches
 * - `omitted`: rules match, and nothing is sent: it would return to its origin, nothing is selected …
 * - `gone`: it was deleted before it could be routed
 */
export type RoutingOutcome = 'enqueued' | 'known' | 'waiting' | 'no-rule' | 'omitted' | 'gone';

/**
 * Routes one stable study: reads its tags and its instance set, applies the rules, enqueues. Resolves only when the
 * enqueue is durable. Repeating it for the same content changes nothing.
 *
 * @param recent - the study as it was read a moment ago; it is read again if this is too long ago
 * @throws DispatchError `source-gone` if the source reports that it does not have the study; others if source or Redis could
 *   not be queried
 */
export async function routeOneStudy(
  context: RoutingContext,
  orthancStudyId: string,
  epoch: number,
  recent?: RecentSnapshot,
): Promise<RoutingOutcome> {
  const { source, orthanc, config, rules, enqueuer, waiting, cache, log } = context;
  const read = (given?: StudySnapshot) =>
    readForRouting(orthanc, config, rules, { source, orthancStudyId }, { cache }, given);
  const [snapshot, before] = await Promise.all([read(ifRecent(recent)), context.settled.readOne(orthancStudyId)]);
  const { study, manifest } = snapshot;
  const isSame = before !== undefined && before.lastUpdate === study.lastUpdate;
  const isKnown = async (): Promise<'known'> => {
    await waiting.note(orthancStudyId, []);
    await context.takeBack(orthancStudyId);
    return 'known';
  };
  if (isSame && before.only.length === 0) return isKnown();
  if (await wasPulled(context, source, snapshot, () => read())) {
    log.debug({ source, study: study.studyInstanceUid }, 'study was pulled as a prior: the rules do not route it');
    return isKnown();
  }
  if (await isPulledByMark(context, orthancStudyId, manifest)) {
    log.info(
      { source, study: study.studyInstanceUid },
      'study was pulled as a prior before Redis lost data: not routed',
    );
    const known = { source, epoch: String(epoch), study, manifest, rules: [], deliveries: [] };
    await enqueuer.enqueue({ ...known, byHand: true, isPulled: true });
    return isKnown();
  }
  const routing = applyRules(
    rules,
    { ...study.facts, now: context.now },
    { hasWaited: await waiting.hasWaited(orthancStudyId, rules) },
  );
  // First the waiting rules, then the deliveries: if killed in between, the study is checked again in any case.
  await Promise.all([waiting.note(orthancStudyId, routing.waiting), context.confirm()]);
  const { added, omitted, studyTaskId, isNew } = await enqueuer.enqueue({
    source,
    epoch: String(epoch),
    study,
    manifest,
    rules: routing.rules,
    deliveries: (await isOld(study, context)) ? routing.deliveries.map(asBackground) : routing.deliveries,
    onSuccess: routing.onSuccess,
    isIncomplete: routing.waiting.length > 0,
    senders: snapshot.senders,
    instanceTags: snapshot.instanceTags,
    ...(isSame && { only: before.only }),
  });
  if (!isNew) await context.takeBack(orthancStudyId);
  // The entry stays while the study is unchanged: sweep and postponed studies may route one study at the same time, and the
  // second must not send to targets that already had it.
  if (before && !isSame) await context.settled.forget(orthancStudyId);
  const facts = { source, study: study.studyInstanceUid, studyTask: studyTaskId, instances: manifest.length };
  for (const { target, why } of omitted) log.info({ ...facts, target, why }, 'the study is not sent to a target');
  if (routing.waiting.length > 0) log.info({ ...facts, waiting: routing.waiting }, 'the study is not complete yet');
  if (routing.deliveries.length === 0) {
    if (routing.waiting.length > 0) return 'waiting';
    log.info(facts, 'no rule matches the study');
    return 'no-rule';
  }
  if (added.length === 0) {
    if (omitted.length > 0) return 'omitted';
    log.debug(facts, 'study was already routed with this content');
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
}

/**
 * Whether an unknown study, or one with other content, is marked in its source as pulled. A record without the source's
 * `lastUpdate` may be a restored one: it does not contain whether the study was pulled.
 */
export async function isPulledByMark(
  { source, orthanc, config, records }: Pick<RoutingContext, 'source' | 'orthanc' | 'config' | 'records'>,
  orthancStudyId: string,
  manifest: readonly ManifestInstance[],
): Promise<boolean> {
  if (!pullsPriors(config)) return false;
  const record = await records.study({ source, orthancStudyId });
  if (record?.lastUpdate !== undefined && record.contentHash === contentHash(manifest)) return false;
  return isMarkedPulled(orthanc, orthancStudyId, manifest);
}

/**
 * Whether a study existed before the source was followed. Dates alone do not show this, because the clock of the source may
 * be wrong: studies that the feed has reported since are new.
 */
async function isOld({ lastUpdate, orthancStudyId }: StudyFacts, context: RoutingContext): Promise<boolean> {
  const { oldBefore } = context;
  if (lastUpdate === undefined || oldBefore === undefined || lastUpdate >= oldBefore) return false;
  return !(await context.isMisdated(orthancStudyId));
}

function asBackground(delivery: PlannedDelivery): PlannedDelivery {
  return { ...delivery, priority: 'background' };
}
