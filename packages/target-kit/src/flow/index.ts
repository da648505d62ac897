export { borrowed, joined, LateReturns, peeked } from './chunks.ts';
export {
  inLanes,
  verdictOf,
  type LaneContext,
  type LaneOptions,
  type LaneResult,
  type Send,
  type Verdict,
} from './in-lanes.ts';
export { KeyedLocks, PathClaims, Permits } from './locks.ts';
export { metered, type Meter, type MeteredBytes } from './metered.ts';
export { largeAtOnce, largeBytes, type OpenedInstance } from './open-queue.ts';
export { ProgressFloor } from './progress-floor.ts';
export { Suspects, withSuspects } from './suspects.ts';
export { cancelledError, throwIfCancelled, until, within, withinDeadline } from './waiting.ts';
