import { globSync } from 'node:fs';
import { dirname } from 'node:path';

/** Tests in other folders that are for the files of this one. */
const elsewhere: Readonly<Record<string, readonly string[]>> = {
  'src/ledger': ['src/receipts/*.test.ts'],
  'src/dimse': ['src/testing/fuzz.test.ts', 'src/operations/*.test.ts'],
  'src/upper-layer': ['src/association/negotiation.test.ts', 'src/association/faults.test.ts'],
};

/** Each mutant would take too long with these (random steps), or be measured wrongly (CPU time). */
const leftOut = /\/(ledger-invariants|linear-time)\.test\.ts$/;

/** The tests near a file of a package: those of its folder. The working directory is the package. */
export function testsOf(file: string): string[] {
  const folder = dirname(file);
  return globSync([`${folder}/*.test.ts`, ...(elsewhere[folder] ?? [])])
    .filter((path) => !leftOut.test(path))
    .sort();
}
