import { defineConfig } from 'vitest/config';

/** A campaign (`campaign.ts`) in a copy of the sources of a package. */
export default defineConfig({
  test: {
    include: ['campaign.test.ts'],
    pool: 'forks',
    // A busy machine detects nothing.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // What a mutant leaves behind is no failure of the next one.
    dangerouslyIgnoreUnhandledErrors: true,
  },
});
