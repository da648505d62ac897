import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

const code = JSON.parse(
  readFileSync(join(process.env['MUTATION_FOLDER'] ?? '', 'instrumented.json'), 'utf8'),
) as Record<string, string>;

/** The tests without a mutant (`baseline.ts`), or with one after another (`campaign.ts`). */
export default defineConfig({
  plugins: [{ name: 'instrumented', enforce: 'pre', load: (path) => code[path] }],
  test: {
    include: [`test/mutation/${process.env['MUTATION_STEP']}.ts`],
    pool: 'forks',
    silent: true,
    // Of tests without a mutant: a busy machine is no fault.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What a mutant leaves behind is no failure of the next one.
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
