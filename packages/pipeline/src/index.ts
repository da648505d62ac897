export { openPipeline, type Actor, type PipelineContext } from './context.ts';
export { OperationError, type OperationErrorCode } from './operation-error.ts';
export { operationKeys } from './keys.ts';
export {
  callJob,
  deliveryJobOptions,
  endWaitingJob,
  promoteLongestWaiting,
  isJobError,
  jobPlace,
  jobPlaces,
  OpenQueues,
  putFirst,
  settleJob,
  type CallResult,
  type JobEnd,
  type JobPlace,
  type JobState,
} from './queues/index.ts';
export { callDelivery, wakeDelivery, type WakeContext } from './wake-delivery.ts';
export { forgetStudy } from './forget-study.ts';
export { parseArrival, publishArrival, type ArrivalMessage } from './arrivals.ts';
export { enqueueArriving, openArriving, withSent, type ArrivingStudy } from './enqueue-arriving.ts';
export { StudyEnqueuer, type Enqueued, type StudyToEnqueue } from './enqueue-study.ts';
export { routeAgain, type RouteRequest } from './route-again.ts';
export { studyOf } from './study-of.ts';
export { openPuller } from './pull/open-puller.ts';
export { pullStudy, type StudyToPull } from './pull/pull-study.ts';
export type { PullDestination } from './pull/pull-destination.ts';
export { pullToSource, type StoreWatch } from './pull/pull-to-source.ts';
export { watchedBody } from './pull/watched-body.ts';
export { orthancIdOf } from './priors/find-at-target.ts';
export { lookForPriors, type FoundPriors } from './priors/look-for-priors.ts';
export { isMarkedPulled, pullsPriors } from './pulled-mark.ts';
export { wasPulled } from './was-pulled.ts';
export { notePulled, sendPrior, type SendPriorContext, type SentPrior } from './send-prior.ts';
export { previewRoute, type RoutePreview } from './plan-route.ts';
export {
  chooseMember,
  isUsable,
  readChoice,
  writeChoice,
  type Choice,
  type GroupContext,
  type StudyOfGroup,
} from './choose-member.ts';
export { planByName, type Resolved } from './resolve-deliveries.ts';
export { readFacts, type Facts, type FactNames } from './read-facts.ts';
export { readForRouting, type SnapshotForRouting } from './read-for-routing.ts';
export { startPruning } from './start-pruning.ts';
export { reasonForReturn } from './refuse-return.ts';
export { takeBackDelivery } from './take-back-delivery.ts';
export { addJob, handOver, newDelivery, replaceDelivery, type HandOverContext } from './hand-over.ts';
export {
  forgetManifest,
  keepManifest,
  shareManifest,
  type SharedManifest,
  type StudyMoment,
} from './shared-manifest.ts';
export { studyTaskStands, type StudyTaskStands } from './study-task-stands.ts';
export * from './reconcile/index.ts';
export { searchKeysOf } from './search-keys.ts';
export {
  applyLimits,
  endOperatorLimits,
  readOperatorLimits,
  setConcurrency,
  setRate,
  type LimitsContext,
  type OperatorLimits,
} from './target-limits.ts';
export { resolveSuperseded } from './resolve-superseded.ts';
