/** Small data sets by keyword, using dcmjs. The core does not need it. */
export { characterSetOf, decodeText } from './character-set.ts';
export type { CharacterSet } from './character-set.ts';
export { dataSet, decodeDataSet, decodePart10, encodeDataSet } from './codec.ts';
export type { DataSet } from './codec.ts';
export { describeTag, findElement, findKeyword, isStandardTag } from './find-element.ts';
export type { ElementName } from './find-element.ts';
export { findDataSets } from './find-data-sets.ts';
export type { FindDataSetsRequest } from './find-data-sets.ts';
export {
  COMMITMENT_FAILURES,
  readCommitmentReport,
  readCommitmentRequest,
  reportStorageCommitment,
  requestStorageCommitment,
} from './storage-commitment.ts';
export type { CommitmentReport, CommitmentRequest, FailedReference, SopReference } from './storage-commitment.ts';
