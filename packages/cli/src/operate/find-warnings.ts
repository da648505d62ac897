import { resolve } from 'node:path';
import { configWarnings, type Config } from '@dicom-dispatch/core';
import { describeProblem, locateProblems, machineWarnings } from '@dicom-dispatch/runtime';
import { liveWarnings } from './live-warnings.ts';
import { sourceWarnings } from './source-warnings.ts';

/** All that is odd about a configuration that can be used, a line each, with its place in the file. */
export async function findWarnings(file: string, config: Config): Promise<string[]> {
  const [machine, live, ofSources] = await Promise.all([
    machineWarnings(config),
    liveWarnings(config),
    sourceWarnings(config),
  ]);
  const located = await locateProblems(file, [...configWarnings(config), ...machine, ...live, ...ofSources]);
  return located.map((problem) => describeProblem(resolve(file), problem));
}
