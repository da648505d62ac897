import { configWarnings, type Config } from '@dicom-dispatch/core';
import { describeProblem, locateProblems, machineWarnings } from '@dicom-dispatch/runtime';
import { liveWarnings } from './live-warnings.ts';
import { sourceWarnings } from './source-warnings.ts';

/**
 * All that is odd about a configuration that can be used, a line each, with its place in the text.
 *
 * @param file - how the text is named
 */
export async function findWarnings(
  file: string,
  { config, text }: { readonly config: Config; readonly text: string },
): Promise<string[]> {
  const [machine, live, ofSources] = await Promise.all([
    machineWarnings(config),
    liveWarnings(config),
    sourceWarnings(config),
  ]);
  const located = locateProblems(text, [...configWarnings(config), ...machine, ...live, ...ofSources]);
  return located.map((problem) => describeProblem(file, problem));
}
