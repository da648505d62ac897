export { findDelivery } from './find-delivery.ts';
export { forgetStudies, type ForgetOutcome, type ForgetWish } from './forget-studies.ts';
export { maxReasonLength, reopenDelivery, resolveDelivery } from './resolve-delivery.ts';
export { sendFirst } from './send-first.ts';
export { retryDelivery } from './retry-delivery.ts';
export { cancelDelivery } from './cancel-delivery.ts';
export { heldAmong, holdDelivery, releaseDelivery } from './hold-delivery.ts';
export {
  pauseTarget,
  promoteTarget,
  readPause,
  resumeTarget,
  setTargetConcurrency,
  setTargetRate,
  type Pause,
} from './change-target.ts';
export { decidePlace, type DecidedPlace } from './decide-place.ts';
export {
  readReceipt,
  type ReceiptLine,
  type ReceiptState,
  type StudyReceipt,
  type TargetReceipt,
} from './read-receipt.ts';
export { receiptCsv } from './receipt-csv.ts';
export { eachDelivery, type DeliverySelection } from './each-delivery.ts';
export {
  actOnMany,
  bulkActions,
  previewMany,
  type BulkAction,
  type BulkPreview,
  type BulkResult,
} from './act-on-many.ts';
export { askOnce, explainWaiting, type AskOnce, type Explanation, type WaitingReason } from './explain-waiting.ts';
export { listWorkers, type WorkerState } from './list-workers.ts';
export { readDurations, readPace, type Pace, type TargetDurations, type TimedPart } from './read-pace.ts';
export { readThroughput, type ThroughputPoint } from './read-throughput.ts';
export { readTarget, readTargets, type TargetState } from './read-target.ts';
export { countErrors, type ErrorCount } from './count-errors.ts';
export { sendTestStudy, testModalities, type TestModality, type TestStudy } from './send-test-study.ts';
export { testSource } from './test-source.ts';
export { testTarget } from './test-target.ts';
export { findStudies } from './find-studies.ts';
export { pullToFolder } from './pull-to-folder.ts';
export { pullStudy, pullToSource, type PullDestination, type StudyToPull } from '@dicom-dispatch/pipeline';
export { readSource, type SourceState } from './read-source.ts';
export {
  describePlanned,
  foreseeDeliveries,
  type ForeseenDelivery,
  type StudyToForesee,
} from './foresee-deliveries.ts';
export { foreseePriors, foreseePriorsWithinMs, type ForeseenPriors } from './foresee-priors.ts';
export { replayRules, type ReplayedStudy, type ReplayOptions, type ReplayOutcome } from './replay-rules.ts';
export { dropOrphan, isOrphan, listOrphans, moveOrphan, type OrphanResult } from './orphans.ts';
export * from './health/index.ts';
export { oldestBacklog } from './oldest-backlog.ts';
export { answerLoss, readLossReport, type LossReport } from './answer-loss.ts';
export { tryStudiesNow } from './put-off-studies.ts';
export { readAfterSuccess, retryAfterSuccess } from './after-success.ts';
export { isAuditIncomplete } from './audit-gaps.ts';
export { readTargetAudit, sendMissing, startTargetAudit, stopTargetAudit, type AuditedTarget } from './target-audit.ts';
export {
  changeBatch,
  findBatchStudies,
  listBatches,
  readBatch,
  setBatchRate,
  startBatch,
  type BatchAction,
  type BatchFilter,
  type BatchRequest,
} from './batches.ts';
export { tryNow, type Did } from './try-now.ts';
export { closeCircuit } from './close-circuit.ts';
export {
  appliedWords,
  applyDraft,
  applyText,
  changedWords,
  restoreVersion,
  type AppliedChange,
} from './configuration/apply-draft.ts';
export { describeChanges, type DescribedChange } from './configuration/describe-changes.ts';
export {
  absentDigest,
  discardDraft,
  draftDigest,
  draftText,
  editDraft,
  readDraft,
  replaceDraft,
  valueDigest,
  type AfterApply,
  type ConfigDraft,
  type DraftContext,
} from './configuration/draft.ts';
export { omitSecrets } from './configuration/form-secrets.ts';
export { hideAddress, hideSecrets, textForEditors } from './configuration/hide-secrets.ts';
export { editableSections, editorProblems } from './configuration/editor-rights.ts';
export { fieldText, readForm, removedSecret, secretText, type FormValues } from './configuration/form-values.ts';
export { lockOutProblems, type Changer } from './configuration/lock-out.ts';
export { previewDraft, type DraftPreview } from './configuration/preview-draft.ts';
