/** What needs neither Redis nor queues: asking a target, pulling from it, testing it. Quick to load. */
export { OperationError, type OperationErrorCode } from '@dicom-dispatch/pipeline';
export { findKeptStudies, type LimitedQuery } from './find-kept-studies.ts';
export { findStudies } from './find-studies.ts';
export { pullStudy, type StudyToPull } from './pull-study.ts';
export type { PullDestination } from './pull-destination.ts';
export { pullToFolder } from './pull-to-folder.ts';
export { pullToSource } from './pull-to-source.ts';
export { testTarget } from './test-target.ts';
