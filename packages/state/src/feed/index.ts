export {
  feedCopyField,
  readFeedState,
  seenChanges,
  writeFeedState,
  type FeedState,
  type Fingerprint,
} from './feed-state.ts';
export {
  readSourceStatus,
  sourceParts,
  writeSourceStatus,
  type FailingPart,
  type SourcePart,
  type SourceStatus,
} from './source-status.ts';
export { listPutOff, parsePutOff, tryPutOffNow, type PutOffReason, type PutOffStudy } from './put-off-studies.ts';
export { routeAnew, routeSoon, type SettledStudy } from './route-soon.ts';
