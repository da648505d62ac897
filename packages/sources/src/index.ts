export { hasStudy } from './has-study.ts';
export { DigestBudget } from './guard/digest-budget.ts';
export type { GuardedBytes } from './guard/guarded-bytes.ts';
export { asRepeated, isWell, type Change } from './instance-error.ts';
export { openInstance, type Judge, type OpenOptions } from './open-instance.ts';
export type { Tally } from './guard/guard-options.ts';
export { openSource, type OrthancClient } from './open-source.ts';
export { withFileHeads } from './read-file-heads.ts';
export { readManifest, toManifestInstance } from './read-manifest.ts';
export { addFacts, readStudy, readStudyWith, type StudyFacts } from './read-study.ts';
export { listStudiesOfPatient, readStudyOfPatient, type StudyOfPatient } from './read-study-of-patient.ts';
export { sourceError } from './source-error.ts';
export { readSnapshot, readSnapshots, type StudySnapshot } from './read-snapshot.ts';
export { beyondMainTags, readInstanceTags, readMoreSeriesTags, readMoreStudyTags } from './read-more-tags.ts';
export {
  createTransform,
  type InstanceTransform,
  type KeepTransformed,
  type TransformDependencies,
} from './transform/create-transform.ts';
export { transformWarnings } from './transform/transform-warnings.ts';
export {
  describeReport,
  optionsNotDone,
  profileEdition,
  profileReport,
  type MethodCode,
  type ProfileReport,
} from './deidentify/profile-report.ts';
export { expectWhole } from './inspect/expect-whole.ts';
export { StorageLane, type StorageLaneEvent } from './storage-lane.ts';
export { deidentifyingRules, type DeidentifyingRule } from './deidentify/deidentifying-rules.ts';
export { judgeDatabase, type DatabaseVerdict, type SeenChange } from './judge-database.ts';
export { otherDatabase, proveGone } from './prove-gone.ts';
export { fromSourceTime, SourceClock, toSourceTime } from './source-time.ts';
export { studyError } from './study-error.ts';
