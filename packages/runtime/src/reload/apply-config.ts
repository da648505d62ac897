import type { Config } from '@dicom-dispatch/core';
import type { Logger } from '../logging/create-logger.ts';
import type { RunningService } from '../process/dependency.ts';

/**
 * Applies a configuration in all services of a process, or in none: if one cannot apply it, this one and those before
 * it get the former one back.
 *
 * @throws the error of the service that could not apply it
 */
export async function applyConfig(
  services: readonly RunningService[],
  change: { readonly before: Config; readonly after: Config },
  log: Logger,
): Promise<void> {
  const touched: RunningService[] = [];
  try {
    for (const service of services) {
      touched.push(service);
      await service.reload?.(change.after);
    }
  } catch (error) {
    for (const service of touched.reverse()) {
      try {
        await service.reload?.(change.before);
      } catch (thrown) {
        log.error({ err: thrown, service: service.name }, 'a service could not apply its previous configuration again');
      }
    }
    throw error;
  }
}
