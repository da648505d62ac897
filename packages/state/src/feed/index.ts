export { readFeedState, seenChanges, type FeedState, type Fingerprint } from './feed-state.ts';
export {
  readSourceStatus,
  sourceParts,
  writeSourceStatus,
  type FailingPart,
  type SourcePart,
  type SourceStatus,
} from './source-status.ts';
