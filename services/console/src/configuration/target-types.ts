import { dirname } from 'node:path';
import { optionFields, type OptionField, type TargetAbout } from '@dicom-dispatch/core';
import type { DraftContext } from '@dicom-dispatch/operations';
import { OperationError } from '@dicom-dispatch/pipeline';
import { aboutType, targetSchemas, type BuiltInType } from '@dicom-dispatch/targets';
import type { z } from 'zod';

/** Data for the form of a target type. */
export interface TargetType {
  readonly type: string;
  readonly about: TargetAbout;
  readonly fields: readonly OptionField[];
}

/**
 * Reads the description and options of a target type; an external one is loaded, which runs its code.
 *
 * @param present - types in the current configuration: other external types are loaded for administrators only
 * @throws OperationError `invalid` if the type does not exist
 */
export async function targetType(
  { store }: Pick<DraftContext, 'store'>,
  type: string,
  mayLoad: boolean,
): Promise<TargetType> {
  if (Object.hasOwn(targetSchemas, type)) {
    return {
      type,
      about: aboutType(type),
      fields: optionFields(targetSchemas[type as BuiltInType] as unknown as z.ZodType),
    };
  }
  const { isExternal, loadHandler } = await import('@dicom-dispatch/targets');
  if (!isExternal(type)) throw new OperationError('invalid', `there is no target type "${type}"`);
  if (!mayLoad) throw new OperationError('invalid', 'only an administrator may load an external handler');
  try {
    const handler = await loadHandler(type, { folder: dirname(store.path) });
    const fields = optionFields(handler.schema).filter(({ name }) => name !== 'type');
    return { type, about: aboutType(type, handler.about as TargetAbout | undefined), fields };
  } catch (error) {
    throw new OperationError('invalid', (error as Error).message, { cause: error });
  }
}
