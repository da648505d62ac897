import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/harness/src/longest-first.ts';
import { isInstalled } from './test/harness/src/is-installed.ts';

export default defineConfig({
  test: {
    // A test file that leaves a server, a folder or a process behind fails.
    setupFiles: ['./test/harness/src/fail-on-leaks.ts'],
    // Limits, far above what any of them takes: a slow or busy machine is no fault.
    testTimeout: 1_800_000,
    hookTimeout: 1_800_000,
    // Real servers, two cores: they wait more than they work.
    maxWorkers: 8,
    sequence: { sequencer: LongestFirst },
    // ./dispatch test coverage: a table, and pages in coverage/.
    coverage: {
      provider: 'v8',
      include: ['{packages,services}/*/src/**/*.ts'],
      exclude: ['**/*.test.ts', '**/testing/**', '**/contract-suite/**', '**/*.child.ts'],
      reporter: ['text', 'html'],
    },
    // Node loads our sources as it does when they run, and a worker each of them once, not once a file.
    isolate: false,
    experimental: { viteModuleRunner: false, nodeLoader: false },
    projects: [
      {
        extends: true,
        test: {
          name: 'all',
          include: [
            'packages/*/src/**/*.test.ts',
            'services/*/src/**/*.test.ts',
            'test/{harness/src,e2e,interop,chaos,bench,packaging}/**/*.test.ts',
          ],
        },
      },
      // Our scripts in Redis (ledger, records, circuit, cache, Cluster), once more on Valkey.
      ...(isInstalled('valkey-server')
        ? [
            {
              extends: true as const,
              test: {
                name: 'valkey',
                include: ['packages/{state,cache}/src/**/*.test.ts', 'test/harness/src/redis*.test.ts'],
                exclude: ['**/several-processes.test.ts'],
                env: { DICOM_DISPATCH_TEST_REDIS: 'valkey-server' },
              },
            },
          ]
        : []),
    ],
  },
});
