export { openOperations, type Actor, type OperationsContext } from './context.ts';
export { OperationError, type OperationErrorCode } from './operation-error.ts';
export { operationKeys } from './keys.ts';
export { OpenQueues } from './open-queues.ts';
export { findDelivery } from './find-delivery.ts';
export { forgetStudy } from './forget-study.ts';
export { forgetStudies, type ForgetOutcome, type ForgetWish } from './forget-studies.ts';
export { prepareRetry, retryDelivery } from './retry-delivery.ts';
export { cancelDelivery } from './cancel-delivery.ts';
export { heldAmong, heldForMs, holdDelivery, releaseDelivery } from './hold-delivery.ts';
export { pauseTarget, promoteTarget, resumeTarget, setTargetConcurrency, setTargetRate } from './change-target.ts';
export { StudyEnqueuer, type Enqueued, type StudyToEnqueue } from './enqueue-study.ts';
export { eachDelivery, type DeliverySelection } from './each-delivery.ts';
export {
  actOnMany,
  bulkActions,
  previewMany,
  type BulkAction,
  type BulkPreview,
  type BulkResult,
} from './act-on-many.ts';
export { explainWaiting, type Explanation, type WaitingReason } from './explain-waiting.ts';
export { listWorkers, type WorkerState } from './list-workers.ts';
export { readThroughput, type ThroughputPoint } from './read-throughput.ts';
export { readTarget, readTargets, type TargetState } from './read-target.ts';
export { countErrors, type ErrorCount } from './count-errors.ts';
export { testTarget } from './test-target.ts';
export { findStudies } from './find-studies.ts';
export { pullStudy, type StudyToPull } from './pull-study.ts';
export type { PullDestination } from './pull-destination.ts';
export { pullToFolder } from './pull-to-folder.ts';
export { pullToSource } from './pull-to-source.ts';
export { readSource, type SourceState } from './read-source.ts';
export { routeAgain, type RouteRequest } from './route-again.ts';
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
export {
  describePlanned,
  foreseeDeliveries,
  type ForeseenDelivery,
  type StudyToForesee,
} from './foresee-deliveries.ts';
export { replayRules, type ReplayedStudy, type ReplayOptions, type ReplayOutcome } from './replay-rules.ts';
export { startPruning } from './start-pruning.ts';
export { reasonForReturn } from './refuse-return.ts';
export { handOver, type HandOverContext } from './hand-over.ts';
export {
  forgetManifest,
  keepManifest,
  shareManifest,
  type SharedManifest,
  type StudyMoment,
} from './shared-manifest.ts';
export { dropOrphan, isOrphan, listOrphans, moveOrphan, type OrphanResult } from './orphans.ts';
