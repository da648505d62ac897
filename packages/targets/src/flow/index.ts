export { cancelledError, throwIfCancelled } from './cancelled.ts';
export { inLanes, type LaneContext, type LaneOptions, type LaneResult, type Send } from './in-lanes.ts';
export { verdictOf, type Verdict } from './instance-error.ts';
export { metered, type Meter, type MeteredBytes } from './metered.ts';
export type { OpenedInstance } from './open-queue.ts';
export { Permits } from './permits.ts';
export { until } from './until.ts';
export { within } from './within.ts';
export { listedBy } from './listed-by.ts';
