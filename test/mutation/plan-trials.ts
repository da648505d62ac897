import { dirname } from 'node:path';
import type { Baseline, TestFile } from './baseline.ts';
import type { Trial } from './campaign.ts';
import type { Mutant } from './instrument.ts';

/** The tests of one mutant take no longer than this together, as measured without mutants, but for the first file. */
const maxTestsMs = 60_000;

/** The tests that reach a mutant, those of its folder first, then the fastest. `undefined`: none. */
export function planTrial({ id, file }: Mutant, { files }: Baseline): Trial | undefined {
  const near = (path: string): number => (dirname(path) === dirname(file) ? 0 : 1);
  const found = files
    .map((each) => reachedBy(each, id))
    .filter(({ tests }) => Object.keys(tests).length > 0)
    .sort((one, other) => near(one.path) - near(other.path) || one.ms - other.ms);
  let sum = 0;
  const chosen = found.filter(({ ms }, index) => {
    if (index > 0 && sum + ms > maxTestsMs) return false;
    sum += ms;
    return true;
  });
  if (chosen.length === 0) return undefined;
  return { id, files: chosen, stalledMs: Math.max(60_000, 20 * sum) };
}

function reachedBy({ path, tests, hooks, ms }: TestFile, id: string): Trial['files'][number] & { ms: number } {
  const inHooks = hooks[id] ?? 0;
  const reaching = tests.filter(({ hits, isPassed }) => isPassed && (id in hits || inHooks > 0));
  const inTests = tests.reduce((all, test) => all + test.ms, 0);
  const longest = Math.max(0, ...reaching.map((test) => test.ms));
  return {
    path,
    tests: Object.fromEntries(reaching.map(({ name, hits }) => [name, hits[id] ?? 0])),
    hooks: inHooks,
    testTimeoutMs: Math.max(20_000, 20 * longest),
    // Hooks run for each mutant.
    ms: ms - inTests + reaching.reduce((all, test) => all + test.ms, 0),
  };
}
