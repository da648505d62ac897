export { csvLine } from './model/csv.ts';
export { stages, type Stage } from './model/stage.ts';
export {
  errorCodes,
  isErrorCode,
  type Disposition,
  type ErrorClass,
  type ErrorCode,
  type Fault,
} from './errors/error-codes.ts';
export {
  asDispatchError,
  DispatchError,
  type DispatchErrorOptions,
  type ErrorRecord,
} from './errors/dispatch-error.ts';
export { innermostError, localShortage, type LocalShortage } from './errors/local-shortage.ts';
export { settleOnce, type SettleOptions } from './waiting/settle-once.ts';
export { durationMs, formatDuration } from './config/duration.ts';
export { hostOf, isLoopback, listenAddress } from './config/listen-address.ts';
export { formatBytes, sizeBytes } from './config/size.ts';
export { fingerprint } from './config/fingerprint.ts';
export { Secret, secret } from './config/secret.ts';
export type { AuditSyslogConfig } from './config/audit-config.ts';
export { network, networkMatcher } from './config/network.ts';
export { aeTitle, configName, hostName, portNumber } from './config/names.ts';
export { schedule, type Schedule } from './config/schedule-config.ts';
export { share, targetAuditConfig, type TargetAuditConfig } from './config/target-audit-config.ts';
export {
  minBytesPerSecondOption,
  targetOptions,
  targetOptionsSchema,
  type TargetConfig,
  type TargetOptions,
} from './config/target-options.ts';
export { isPasswordHash, maxPasswordLength, minPasswordLength, passwordProblem } from './config/password-rules.ts';
export { needsSignIn, roles, type ConsoleConfig, type Role } from './config/console-config.ts';
export {
  notificationKinds,
  webhookAddressOf,
  type EmailConfig,
  type NotificationKind,
  type NotificationsConfig,
  type WebhookConfig,
} from './config/notifications-config.ts';
export {
  commonGroups,
  groupOfOption,
  optionGroups,
  targetExamples,
  type OptionGroup,
  type TargetAbout,
} from './config/target-about.ts';
export { describePlace, firstId, targetPlace, type TargetPlace } from './config/target-place.ts';
export { receiptsConfig, type ReceiptsConfig } from './config/records-config.ts';
export { configJsonSchema } from './config/json-schema.ts';
export { configSchema, type Config, type TargetSchema } from './config/config-schema.ts';
export type { RedisConfig } from './config/redis-config.ts';
export { httpUrl, sourceConfig, tlsClient, type SourceConfig } from './config/source-config.ts';
export { configWarnings } from './config/warnings/config-warnings.ts';
export { parseConfig, type ParsedConfig } from './config/parse-config.ts';
export {
  referredKinds,
  renameReferences,
  type ReferredKind,
  type RenamedReferences,
} from './config/rename-references.ts';
export { notesOf, targetDefaultsOf, withoutNotes, withTargetDefaults } from './config/target-defaults.ts';
export type { Problem } from './config/problem.ts';
export { typesThatCanBeAsked } from './config/warnings/priors-warnings.ts';
export { typesThatSendParts } from './rules/starts-of-rules.ts';
export {
  latePolicies,
  ruleConfig,
  type LatePolicy,
  type OnSuccessConfig,
  type RuleConfig,
  type Start,
} from './config/rule-config.ts';
export { priorsFromSource, type PriorsConfig, type PriorTerms } from './config/priors-config.ts';
export type { CompletionConfig } from './config/rule-config.ts';
export type { InstanceSelection } from './config/instance-selection.ts';
export { groupStrategies, type GroupStrategy, type TargetGroupConfig } from './config/target-group-config.ts';
export { givesNewUids, needsSecret, transformConfig, type TransformConfig } from './config/transform-config.ts';
export type { PseudonymsConfig } from './config/transform-config.ts';
export {
  arrivingHash,
  contentHash,
  deliveryId,
  instanceKey,
  isUid,
  studyTaskId,
  type DeliveryId,
  type DeliveryIdentity,
  type StudyTaskId,
} from './model/ids.ts';
export { namedMap } from './model/named-map.ts';
export { printable } from './model/printable.ts';
export { priorities, type Priority } from './model/priority.ts';
export { defaultPrefix, studyQueue, targetOfQueue, targetQueue } from './jobs/queues.ts';
export * from './jobs/job-contract.ts';
export { afterFailure, type AfterFailure, type AttemptFacts } from './retry/after-failure.ts';
export { backOffMs } from './retry/back-off.ts';
export {
  compileExpression,
  ExpressionError,
  type CompiledExpression,
  type Verdict,
} from './rules/compile-expression.ts';
export type { DecidingPart, LookedAt } from './rules/deciding-part.ts';
export { keywords } from './rules/keywords.ts';
export { nearestKeyword } from './rules/nearest-keyword.ts';
export { compileGlob, type GlobMatcher } from './rules/glob.ts';
export { compileRules, wantedByRules, type CompiledRule, type RuleOptions } from './rules/compile-rules.ts';
export {
  explainRules,
  routeStudy,
  type RuleOutcome,
  type RuleVerdict,
  type Routing,
  type RoutingOptions,
  type WaitingRule,
} from './rules/route-study.ts';
export { mostUrgent, uniteDeliveries, type PlannedDelivery } from './rules/planned-delivery.ts';
export { ledgerKeyOf, ledgerVersion, transformHash } from './rules/ledger-terms.ts';
export { compileSelection, selectInstances, unreadTags, type CompiledSelection } from './rules/select-instances.ts';
export type { WantedTags } from './rules/wanted-tags.ts';
export { isOpen, nextStartAt, nextWindowAt } from './schedule/next-window.ts';
export { sourceOfTarget, isSameServer } from './rules/target-source.ts';
export type { RuleFacts } from './rules/rule-facts.ts';
export type { InstanceBytes, ManifestInstance, StudyTags } from './model/manifest.ts';
export { choosePriors, type ChosenPriors, type PriorCandidate, type StudyWithPriors } from './rules/choose-priors.ts';
export { differentPatient, type PatientIdentity } from './rules/patient-identity.ts';
export { compilePriorCondition, type PriorFacts } from './rules/compile-prior-condition.ts';
export { compileInstanceFilter, type InstanceFilter } from './rules/compile-instance-filter.ts';
export { cacheConfig, retentions, type CacheConfig, type Retention } from './config/cache-config.ts';
export {
  readConditions,
  simpleOperators,
  writeConditions,
  type SimpleCondition,
  type SimpleConditions,
} from './rules/simple-conditions.ts';
export { completeWord, type Completion } from './rules/complete-word.ts';
export { optionFields, type FieldKind, type OptionField } from './config/option-fields.ts';
export { optionFieldsAt, schemaAt } from './config/option-fields.ts';
export { isOpenHeader } from './config/secret-paths.ts';
export { exampleConfig } from './config/example-config.ts';
export { exampleValues } from './config/example-values.ts';
export { hasPixelData, isCompressed } from './model/has-pixel-data.ts';
export { isLossySyntax } from './model/lossy-syntaxes.ts';
