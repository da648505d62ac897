export type { Check, CheckContext } from './check.ts';
export type {
  DeliveryRun,
  InstanceOutcome,
  Kept,
  ListedPart,
  OpenOptions,
  RunLog,
  RunState,
  TargetMemory,
} from './delivery-run.ts';
export type { InstanceBytes, ManifestInstance, OptionGroup, StudyTags, TargetAbout } from '@dicom-dispatch/core';
export type {
  FindQuery,
  FoundSeries,
  FoundStudy,
  Puller,
  RetrieveProblem,
  RetrieveProgress,
  RetrieveRequest,
} from './pull.ts';
export type { Holding, Inventory, InventoryContext, ListedInstance, StudyToList } from './inventory.ts';
export type { Mailbox } from './mailbox.ts';
export { contractVersion, type ServeContext, type TargetHandler, type TargetService } from './target-handler.ts';
