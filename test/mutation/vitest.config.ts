import { defineConfig } from 'vitest/config';

/**
 * Tests of one package, as mutation testing runs them: in a copy of the package's folder. `MUTATION_TESTS` limits them to some
 * files.
 */
export default defineConfig({
  test: {
    include: process.env['MUTATION_TESTS']?.split(' ') ?? ['src/**/*.test.ts'],
    // It measures CPU time, which the code that counts mutants needs as well.
    exclude: ['**/linear-time.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
