import { configWarnings, type Config } from '@dicom-dispatch/core';
import { describeProblem, locateProblems, machineWarnings, permissionWarnings } from '@dicom-dispatch/runtime';
import { transformWarnings } from '@dicom-dispatch/sources';
import { liveWarnings } from './live-warnings.ts';
import { sourceWarnings } from './source-warnings.ts';

/**
 * All warnings of a usable configuration, one per line, with their place in the text.
 *
 * @param file - name of the text
 * @param text.path - configuration file of this host, if the text is a different one
 */
export async function findWarnings(
  file: string,
  { config, text, path = file }: { readonly config: Config; readonly text: string; readonly path?: string },
): Promise<string[]> {
  const [machine, permissions, live, ofSources] = await Promise.all([
    machineWarnings(config),
    permissionWarnings(path, text, process.env),
    liveWarnings(config),
    sourceWarnings(config),
  ]);
  const located = locateProblems(text, [
    ...configWarnings(config),
    ...transformWarnings(config),
    ...machine,
    ...permissions,
    ...live,
    ...ofSources,
  ]);
  return located.map((problem) => describeProblem(file, problem));
}
