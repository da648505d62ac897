import { configWarnings } from '@dicom-dispatch/core';
import { editableSections } from '@dicom-dispatch/operations';
import { machineWarnings } from '@dicom-dispatch/runtime';
import { transformWarnings } from '@dicom-dispatch/sources';
import type { ConsoleContext } from '../console-context.ts';

export interface PresentWarning {
  /** Dotted path of the option. */
  readonly path: string;
  readonly message: string;
}

/** Warnings of `config check` about the configuration that is in use, on the machine of the console. */
export async function warningsNow(
  { config }: Pick<ConsoleContext, 'config'>,
  isEditor: boolean,
): Promise<PresentWarning[]> {
  const now = config();
  const found = [...configWarnings(now), ...transformWarnings(now), ...(await machineWarnings(now))];
  return found
    .filter(({ path }) => !isEditor || editableSections.has(String(path[0])))
    .map(({ path, message }) => ({ path: path.join('.'), message }));
}
