export { callJob, putFirst, isJobError, type CallResult } from './call-job.ts';
export { deliveryJobOptions, unlimitedAttempts } from './delivery-job.ts';
export { endWaitingJob } from './end-waiting-job.ts';
export { JoinedFlows } from './joined-flows.ts';
export { promoteLongestWaiting } from './promote-longest-waiting.ts';
export { jobPlace, jobPlaces, type JobPlace, type JobState } from './job-places.ts';
export { OpenQueues } from './open-queues.ts';
export { releaseParent, waitingParents } from './release-parent.ts';
export { settleJob, type JobEnd } from './settle-job.ts';
