import { globSync } from 'node:fs';

/** Tests, types, tables, and what only passes on. */
const notMeasured = /\.test\.ts$|\/index\.ts$|\/testing\/|-types\.ts$|\/(keywords|pdu)\.ts$/;

/** Tests elsewhere that run code of a package. Each of these files should take a few seconds at most. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  core: [
    'packages/cli/src/example-config.test.ts',
    'packages/cli/src/operate/find-warnings.test.ts',
    'packages/operations/src/configuration/{form-values,hide-secrets}.test.ts',
    'packages/runtime/src/config/load-config.test.ts',
    'packages/state/src/ledger/entry-codec.test.ts',
    'packages/targets/src/{abouts,target-pages}.test.ts',
    'services/console/src/configuration/round-trip.test.ts',
  ],
  'dicom-dimse': ['test/interop/dimse-{dcmtk-scp,dcmtk-scu,implicit,syntaxes,tls}.test.ts'],
  pipeline: [
    'packages/operations/src/{by-hand,forget-study,pull-shared-uids,pull-to-folder}.test.ts',
    'services/dispatcher/src/priors/run-priors.test.ts',
  ],
  state: [],
};

/** Each mutant would take too long with these (random steps), or be measured wrongly (CPU time). */
const leftOut = /\/(ledger-invariants|linear-time)\.test\.ts$/;

export const packages = Object.keys(elsewhere);

/** The files of a package that decide something, relative to the repository. */
export function sourcesOf(name: string): string[] {
  return globSync(`packages/${name}/src/**/*.ts`)
    .filter((path) => !notMeasured.test(path))
    .sort();
}

/** All tests of a package, and those elsewhere that run its code, relative to the repository. */
export function testsOf(name: string): string[] {
  return globSync([`packages/${name}/src/**/*.test.ts`, ...(elsewhere[name] ?? [])])
    .filter((path) => !leftOut.test(path))
    .sort();
}
