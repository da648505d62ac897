import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: [
      'packages/*/src/**/*.test.ts',
      'services/*/src/**/*.test.ts',
      'test/{harness/src,e2e,interop,chaos,bench,packaging}/**/*.test.ts',
    ],
    // A test file that leaves a server, a folder or a process behind fails.
    setupFiles: ['./test/harness/src/fail-on-leaks.ts'],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Real servers, two cores: more workers only make them wait for each other.
    maxWorkers: 2,
    // A machine that is busy with something else can starve a real server past every time-out: one more try tells.
    retry: 2,
  },
});
