import { resolve } from 'node:path';
import { configWarnings, type Config } from '@dicom-dispatch/core';
import { describeProblem, locateProblems, machineWarnings } from '@dicom-dispatch/runtime';
import { liveWarnings } from './live-warnings.ts';

/** All that is odd about a configuration that can be used, a line each, with its place in the file. */
export async function findWarnings(file: string, config: Config): Promise<string[]> {
  const [machine, live] = await Promise.all([machineWarnings(config), liveWarnings(config)]);
  const located = await locateProblems(file, [...configWarnings(config), ...machine, ...live]);
  return located.map((problem) => describeProblem(resolve(file), problem));
}
