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
export { durationMs, formatDuration } from './config/duration.ts';
export { listenAddress } from './config/listen-address.ts';
export { formatBytes, sizeBytes } from './config/size.ts';
export { Secret, secret } from './config/secret.ts';
export { aeTitle, configName, hostName, portNumber } from './config/names.ts';
export {
  schedule,
  targetOptions,
  targetOptionsSchema,
  type Schedule,
  type TargetConfig,
  type TargetOptions,
} from './config/target-options.ts';
export { needsSignIn, roles, type ConsoleConfig, type Role } from './config/console-config.ts';
export {
  notificationKinds,
  type EmailConfig,
  type NotificationKind,
  type NotificationsConfig,
  type WebhookConfig,
} from './config/notifications-config.ts';
export { configJsonSchema } from './config/json-schema.ts';
export { configSchema, type Config, type TargetSchema } from './config/config-schema.ts';
export { httpUrl, sourceConfig, tlsClient, type SourceConfig } from './config/source-config.ts';
export { parseConfig, type ParsedConfig } from './config/parse-config.ts';
export type { Problem } from './config/problem.ts';
export type { RuleConfig } from './config/rule-config.ts';
export {
  contentHash,
  deliveryId,
  isUid,
  studyTaskId,
  type DeliveryId,
  type DeliveryIdentity,
  type StudyTaskId,
} from './model/ids.ts';
export { priorities, type Priority } from './model/priority.ts';
export { defaultPrefix, studyQueue, targetOfQueue, targetQueue } from './jobs/queues.ts';
export * from './jobs/job-contract.ts';
export { backOffMs } from './retry/back-off.ts';
export {
  compileExpression,
  ExpressionError,
  type CompiledExpression,
  type Verdict,
} from './rules/compile-expression.ts';
export { globToRegExp } from './rules/glob.ts';
export {
  compileRules,
  explainRules,
  routeStudy,
  type CompiledRule,
  type Routing,
  type RuleVerdict,
} from './rules/route-study.ts';
export type { RuleFacts } from './rules/rule-facts.ts';
export type { InstanceBytes, ManifestInstance, StudyTags } from './model/manifest.ts';
export { compileInstanceFilter } from './rules/compile-instance-filter.ts';
export { cacheConfig, retentions, type CacheConfig, type Retention } from './config/cache-config.ts';
