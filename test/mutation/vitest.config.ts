import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const folder = process.env['MUTATION_FOLDER'] ?? '';
const code = JSON.parse(readFileSync(join(folder, 'instrumented.json'), 'utf8')) as Record<string, string>;

/** The tests without a mutant (`baseline.ts`), or with one after another (`campaign.ts`). */
export default defineConfig({
  plugins: [{ name: 'instrumented', enforce: 'pre', load: (path) => code[path] }],
  test: {
    include: [`test/mutation/${process.env['MUTATION_STEP']}.ts`],
    pool: 'forks',
    silent: true,
    // Transformed modules are kept for the processes of one measurement; those of another one have other mutants.
    fsModuleCachePath: join(folder, 'modules'),
    // Of tests without a mutant: a busy machine is no fault.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What a mutant leaves behind is no failure of the next one.
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
