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
