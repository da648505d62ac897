/** Operations without Redis and queues: searching a target, pulling from it, testing it. Fast to load. */
export {
  OperationError,
  pullStudy,
  pullToSource,
  type OperationErrorCode,
  type PullDestination,
  type StudyToPull,
} from '@dicom-dispatch/pipeline';
export { findKeptStudies, type LimitedQuery } from './find-kept-studies.ts';
export { findStudies } from './find-studies.ts';
export { pullToFolder } from './pull-to-folder.ts';
export { testTarget } from './test-target.ts';
