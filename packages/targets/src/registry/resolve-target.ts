import { DispatchError, type TargetConfig } from '@dicom-dispatch/core';
import type { TargetHandler } from '@dicom-dispatch/target-kit';
import { isExternal, loadHandler } from '../external/index.ts';
import { builtInHandlers, isBuiltIn } from './built-in.ts';

/** A target with its handler. They match: the configuration was checked by the schema of this type. */
export interface ResolvedTarget {
  readonly config: TargetConfig;
  readonly handler: TargetHandler;
}

/**
 * Finds the handler of a target.
 *
 * @throws DispatchError `handler-missing` if the target or its type does not exist
 */
export async function resolveTarget(name: string, config: TargetConfig | undefined): Promise<ResolvedTarget> {
  if (!config) throw new DispatchError('handler-missing', `the target ${name} is not configured`);
  if (isExternal(config.type)) return { config, handler: await loadHandler(config.type, { folder: '/' }) };
  if (!isBuiltIn(config.type))
    throw new DispatchError('handler-missing', `the target ${name} has the unknown type ${config.type}`);
  const handler: unknown = await builtInHandlers[config.type]();
  return { config, handler: handler as TargetHandler };
}
