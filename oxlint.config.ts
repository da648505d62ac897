import { defineConfig, type OxlintOverride } from 'oxlint';

/**
 * Imports run one way (docs/architecture.md): each room names the rooms of ours that it may import.
 * Everything else of ours is refused, and so is reaching past a package's `exports`.
 */
export const rooms: Record<string, readonly string[]> = {
  'packages/core': [],
  'packages/dicom-dimse': [],
  'packages/orthanc': [],
  'packages/samples': [],
  'packages/state': ['core'],
  'packages/cache': ['core', 'state'],
  'packages/runtime': ['core', 'state'],
  'packages/target-kit': ['core'],
  'packages/targets': ['core', 'dicom-dimse', 'orthanc', 'cache', 'target-kit'],
  // Part 10 and the data set's encoding are read where bytes are checked.
  'packages/sources': ['core', 'orthanc', 'dicom-dimse'],
  'packages/pipeline': ['core', 'orthanc', 'sources', 'state', 'cache', 'runtime', 'targets', 'target-kit'],
  // Of samples the test study that a new installation is tried with.
  'packages/operations': [
    'core',
    'orthanc',
    'sources',
    'state',
    'cache',
    'runtime',
    'targets',
    'target-kit',
    'pipeline',
    'samples',
  ],
  'services/router': ['core', 'orthanc', 'state', 'cache', 'runtime', 'sources', 'targets', 'pipeline'],
  'services/dispatcher': [
    'core',
    'orthanc',
    'state',
    'cache',
    'runtime',
    'sources',
    'targets',
    'target-kit',
    'pipeline',
  ],
  'services/console': [
    'core',
    'orthanc',
    'state',
    'cache',
    'runtime',
    'sources',
    'targets',
    'target-kit',
    'pipeline',
    'operations',
  ],
  'packages/cli': [
    'core',
    'orthanc',
    'state',
    'cache',
    'runtime',
    'sources',
    'targets',
    'target-kit',
    'pipeline',
    'operations',
    'samples',
    'router',
    'dispatcher',
    'console',
    'dicom-dimse',
  ],
  // Starts servers for all tests, and depends on nothing that they test.
  'test/harness': ['samples'],
};

const all = [
  'core',
  'orthanc',
  'cache',
  'state',
  'sources',
  'targets',
  'target-kit',
  'runtime',
  'cli',
  'samples',
  'pipeline',
  'operations',
  'harness',
  'router',
  'dispatcher',
  'console',
];

function refused(allowed: readonly string[]): string[] {
  const names = all.flatMap((name) =>
    allowed.includes(name) ? [] : [`@dicom-dispatch/${name}`, `@dicom-dispatch/${name}/*`],
  );
  if (!allowed.includes('dicom-dimse')) names.push('dicom-dimse', 'dicom-dimse/*');
  return names;
}

const pastExports = {
  group: [
    '**/packages/*',
    '**/packages/*/**',
    '**/services/*',
    '**/services/*/**',
    '@dicom-dispatch/*/src/**',
    'dicom-dimse/src/**',
  ],
  message: 'Import a package by its name and its `exports`, never a path into it.',
};

/** A way around by a relative path: no import within a package passes its own `src`. */
const pastOwnRoom = { ...pastExports, group: [...pastExports.group, '../**/src/**'] };

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'node', 'promise'],
  categories: { correctness: 'error', suspicious: 'error', perf: 'error' },
  ignorePatterns: ['**/dist/**', '**/node_modules/**'],
  rules: {
    'no-console': 'error',
    'no-await-in-loop': 'off',
    'no-underscore-dangle': 'off',
    'no-shadow': 'off',
    'import/no-unassigned-import': 'off',
    'import/no-default-export': 'error',
    'import/no-cycle': 'error',
    'typescript/no-explicit-any': 'error',
    'typescript/consistent-type-imports': 'error',
    'unicorn/filename-case': ['error', { case: 'kebabCase' }],
    'unicorn/no-array-sort': 'off',
    'unicorn/no-array-reverse': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'unicorn/prefer-add-event-listener': 'off',
    'promise/always-return': 'off',
    'oxc/no-map-spread': 'off',
    // Fastify awaits its handlers; the rule means Express.
    'oxc/no-async-endpoint-handlers': 'off',
    'node/no-process-env': 'off',
    'no-restricted-imports': ['error', { patterns: [pastExports] }],
  },
  overrides: [
    {
      files: ['*.config.ts', 'packages/*/*.config.ts', 'docs/.vitepress/config.ts'],
      rules: { 'import/no-default-export': 'off' },
    },
    { files: ['packages/cli/**', 'test/**', '**/scripts/**', '**/examples/**'], rules: { 'no-console': 'off' } },
    ...Object.entries(rooms).map(([room, allowed]): OxlintOverride => ({
      files: [`${room}/src/**/*.ts`],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            patterns: [
              pastOwnRoom,
              {
                group: refused(allowed),
                message: `${room} may import of ours only: ${allowed.join(', ') || 'nothing'}.`,
              },
            ],
          },
        ],
      },
    })),
    {
      // Tests, what they share, and stand-ins may start real servers from test/harness and make studies with samples.
      files: ['**/*.test.ts', '**/testing/**', '**/*-stand-in.ts', 'packages/targets/src/contract-suite/**'],
      rules: { 'no-restricted-imports': ['error', { patterns: ['@dicom-dispatch/*/src/**'] }] },
    },
  ],
});
