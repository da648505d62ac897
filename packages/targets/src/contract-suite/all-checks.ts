import type { TargetConfig } from '@dicom-dispatch/core';
import type { Check, TargetHandler } from '@dicom-dispatch/target-kit';

/** All checks of `testConnection`. */
export function allChecks<Config extends TargetConfig>(
  handler: TargetHandler<Config>,
  config: Config,
  signal: AbortSignal = new AbortController().signal,
): Promise<Check[]> {
  return Array.fromAsync(handler.testConnection({ config, targetName: 'under-test', signal }));
}
