export { parseText } from './config/parsed-text.ts';
export { ConfigError, describeProblem, type LocatedProblem } from './config/config-error.ts';
export { dueWords } from './config/pem-files.ts';
export { machineWarnings } from './config/machine-warnings.ts';
export { permissionWarnings } from './config/permission-warnings.ts';
export { checkConfig, loadConfig, locateProblems, readText, type LoadOptions } from './config/load-config.ts';
export { addHealthRoutes } from './http/health-routes.ts';
export { boundUnreadBodies } from './http/unread-bodies.ts';
export { startHealthServer } from './http/health-server.ts';
export { parseListen } from './http/listen.ts';
export { createLogger, type Logger, type LoggingOptions } from './logging/create-logger.ts';
export type { DependencyState, PublicFinding, RunningService } from './process/dependency.ts';
export { endInTime, partEndMs } from './process/end-in-time.ts';
export { Counter, createMetrics, Gauge, Histogram, Registry } from './process/metrics.ts';
export { startTelemetry, type RunningTelemetry } from './process/telemetry.ts';
export { currentTraceId, traceAttempt, type AttemptTrace } from './process/attempt-trace.ts';
export { closeWorker } from './queues/close-worker.ts';
export { firstJobPriority, jobPriority, keepJobs, queueOptions, workerOptions } from './queues/queue-options.ts';
export { checkRedis, type RedisFinding } from './redis/check-redis.ts';
export { connectRedis, mastersOf, openRedis, type Redis } from './redis/connect-redis.ts';
export {
  EmbeddedRedisError,
  findEmbeddedRedis,
  needEmbeddedRedis,
  startEmbeddedRedis,
  type EmbeddedRedis,
} from './redis/embedded-redis.ts';
export { readInfo } from './redis/read-info.ts';
export { joinCalls } from './redis/join-calls.ts';
export { withScripts } from './redis/with-scripts.ts';
export { redisDependency } from './redis/redis-dependency.ts';
export { reportUnusable } from './redis/report-unusable.ts';
export { addressOf, namesRedis, RedisPlaceError, type RedisPlace } from './redis/redis-options.ts';
export { keepConfiguration, type ConfigurationKeeper, type KeeperOptions } from './reload/keep-configuration.ts';
export { reloadEverywhere, type ReloadResult } from './reload/reload-everywhere.ts';
export { restartNeeded } from './reload/restart-needed.ts';
export { movedTargets } from './reload/moved-targets.ts';
export { reloadAnswer, type ReloadAnswer } from './reload/reload-messages.ts';
export { changeConfiguration, type ConfigChange, type ConfigChangeResult } from './store/change-configuration.ts';
export {
  judgeText,
  openFileStore,
  openStore,
  type ConfigurationStore,
  type RedisStoreOptions,
} from './store/configuration-store.ts';
export { ConfigFile } from './store/config-file.ts';
export {
  configDigest,
  type ConfigText,
  type ConfigVersion,
  type ConfigVersionFacts,
  type CurrentConfig,
  type VersionStore,
} from './store/current-config.ts';
export { configValue, editConfig, type ConfigEdit, type ConfigPath } from './store/edit-config.ts';
export { mergeConfigs } from './store/merge-configs.ts';
export { SealKey, sealKeyPath } from './store/seal.ts';
export { unifiedDiff } from './store/unified-diff.ts';
export { ConfigVersions } from './store/versions.ts';
export { RedisClock, skewLimitMs } from './watch/redis-clock.ts';
export { useRedisTime } from './watch/use-redis-time.ts';
export {
  RedisLost,
  RedisWatch,
  type AboutProcess,
  type ClockJump,
  type RedisListener,
  type WatchOptions,
} from './watch/watch-redis.ts';
export { watchCertificates } from './watch/watch-certificates.ts';
export { lossWords, skewWords, wordsOf, type RedisStanding } from './watch/redis-standing.ts';
export { buildText, readBuild, type Build } from './build/read-build.ts';
