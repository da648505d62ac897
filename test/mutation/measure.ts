import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Baseline } from './baseline.ts';
import { instrument, type Mutant } from './instrument.ts';
import { planTrial } from './plan-trials.ts';
import { runBaseline, runCampaign } from './run-campaign.ts';

export interface Measured {
  /** All but those in code that runs only when its module is loaded. */
  readonly all: number;
  readonly results: readonly { readonly mutant: Mutant; readonly result: 'detected' | 'survived' | 'no test' }[];
  /** Tests that fail without a mutant; they were left out. */
  readonly failing: readonly string[];
}

export interface Measurement {
  readonly sources: readonly string[];
  readonly tests: readonly string[];
  /** Chooses the mutants to try. */
  readonly choose: (mutants: readonly Mutant[]) => readonly Mutant[];
  /** After each part of the mutants. */
  readonly onProgress: (tried: number, of: number) => void;
}

/** Mutants that are tried in one process, unless one of them stops it. */
const perProcess = 40;

/**
 * Measures files with tests. All mutants are in the code at once, each behind a switch. The tests run once without a mutant, which shows
 * what each of them reaches, then for each chosen mutant those that reach it.
 */
export async function measure({ sources, tests, choose, onProgress }: Measurement): Promise<Measured> {
  // Servers and files of processes that are killed are in it as well.
  const folder = mkdtempSync(join(tmpdir(), 'mutation-'));
  process.env['TMPDIR'] = folder;
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const { code, mutants } = await instrument(sources);
    writeFileSync(join(folder, 'instrumented.json'), JSON.stringify(code));
    const baseline = await runBaseline(folder, tests);
    const counted = mutants.filter(({ id }) => isReached(id, baseline) || !(id in baseline.atLoad));
    if (!counted.some(({ id }) => isReached(id, baseline))) throw new Error('the tests reach no mutant');
    const chosen = choose(counted);
    const trials = chosen.map((mutant) => planTrial(mutant, baseline)).filter((trial) => trial !== undefined);
    const detected = new Set<string>();
    for (let from = 0; from < trials.length; from += perProcess) {
      for (const id of await runCampaign(folder, trials.slice(from, from + perProcess))) detected.add(id);
      onProgress(Math.min(from + perProcess, trials.length), trials.length);
    }
    const tried = new Set(trials.map(({ id }) => id));
    return {
      all: counted.length,
      results: chosen.map((mutant) => {
        const result = detected.has(mutant.id) ? 'detected' : tried.has(mutant.id) ? 'survived' : 'no test';
        return { mutant, result };
      }),
      failing: baseline.files.flatMap(({ path, tests: all }) =>
        all.filter(({ isPassed }) => !isPassed).map(({ name }) => `${path} ${name}`),
      ),
    };
  } finally {
    remove();
    process.off('exit', remove);
  }
}

function isReached(id: string, { files }: Baseline): boolean {
  return files.some(({ tests, hooks }) => id in hooks || tests.some(({ hits }) => id in hits));
}
