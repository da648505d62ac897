export {
  Batches,
  batchStates,
  maxBatchStudies,
  type Batch,
  type BatchOrder,
  type BatchOutcome,
  type BatchState,
} from './batches.ts';
