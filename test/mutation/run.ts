import { fileURLToPath } from 'node:url';
import { Stryker } from '@stryker-mutator/core';

/**
 * Mutation testing: ./dispatch test mutation [PACKAGE [FILE...]]
 *
 * Changes the sources of a package in small ways (a mutant) and runs the tests that cover the place: a mutant that no test notices has
 * survived. Prints those and the score of each file. Measured scores: docs/reliability.md.
 */

/** The default set: code in which a wrong decision loses a study or sends it twice. */
const files: Readonly<Record<string, readonly string[]>> = {
  core: ['src/retry/*.ts', 'src/rules/*.ts', '!src/rules/keywords.ts'],
  state: ['src/ledger/*.ts', 'src/circuit/*.ts'],
  pipeline: ['src/*.ts'],
  'dicom-dimse': ['src/pdu/*.ts', 'src/dimse/*.ts', 'src/upper-layer/*.ts'],
};

const [name, ...wanted] = process.argv.slice(2);
if (name !== undefined && !(name in files)) {
  console.error(`usage: ./dispatch test mutation [PACKAGE [FILE...]]; packages: ${Object.keys(files).join(', ')}`);
  process.exit(2);
}

for (const one of name === undefined ? Object.keys(files) : [name]) {
  process.chdir(fileURLToPath(new URL(`../../packages/${one}`, import.meta.url)));
  const stryker = new Stryker({
    mutate: [...(wanted.length > 0 ? wanted : (files[one] ?? [])), '!src/**/*.test.ts', '!src/**/testing/**'],
    testRunner: 'vitest',
    vitest: { configFile: fileURLToPath(new URL('vitest.config.ts', import.meta.url)) },
    plugins: ['@stryker-mutator/vitest-runner'],
    coverageAnalysis: 'perTest',
    ignoreStatic: true,
    concurrency: Number(process.env['MUTATION_CONCURRENCY'] ?? 1),
    reporters: ['clear-text', 'json'],
    clearTextReporter: { allowColor: false, logTests: false, reportTests: false },
    jsonReporter: { fileName: `node_modules/.cache/mutation.json` },
    tempDirName: '.stryker-tmp',
    timeoutMS: 20_000,
    // TypeScript 7 has no API for programs: Node strips the types, and the project's file is not used.
    tsconfigFile: 'none',
    ignorePatterns: ['tsconfig*.json', 'dist', 'examples', 'scripts'],
    disableTypeChecks: false,
  } as ConstructorParameters<typeof Stryker>[0]);
  await stryker.runMutationTest();
}
