import { globSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { measure } from './measure.ts';
import { contentHash, readScores, scoreLines, writeScores } from './scores.ts';
import { testsOf } from './tests-of.ts';

/**
 * Mutation testing: ./dispatch test mutation [PACKAGE [FILE...]]
 *
 * Changes the sources of a package in small ways (a mutant) and runs the tests that cover the place: a mutant that no test notices has
 * survived. Prints those and the score of each file. Files are measured one after another, with the tests near them (`tests-of.ts`).
 * The result of a file is kept until the file or one of these tests changes, so a package can be measured in several runs. Measured
 * scores: docs/reliability.md.
 */

/** The default set: code in which a wrong decision loses a study or sends it twice. */
const files: Readonly<Record<string, readonly string[]>> = {
  core: ['src/retry/*.ts', 'src/rules/*.ts'],
  state: ['src/ledger/*.ts', 'src/circuit/*.ts'],
  pipeline: ['src/*.ts'],
  'dicom-dimse': ['src/pdu/*.ts', 'src/dimse/*.ts', 'src/upper-layer/*.ts'],
};
/** Tests, and files that decide nothing. */
const notMeasured = /\.test\.ts$|\/(index|keywords|pdu)\.ts$|-types\.ts$/;

const [name, ...wanted] = process.argv.slice(2);
if (name !== undefined && !(name in files)) {
  console.error(`usage: ./dispatch test mutation [PACKAGE [FILE...]]; packages: ${Object.keys(files).join(', ')}`);
  process.exit(2);
}
const limit = process.env['MUTATION_TESTS']?.split(' ');

for (const one of name === undefined ? Object.keys(files) : [name]) {
  process.chdir(fileURLToPath(new URL(`../../packages/${one}`, import.meta.url)));
  const scores = readScores(one);
  const all = wanted.length > 0 ? wanted : globSync([...(files[one] ?? [])]).sort();
  for (const file of all.filter((path) => !notMeasured.test(path))) {
    const tests = limit ?? testsOf(file);
    const of = contentHash([file, ...tests]);
    if (wanted.length === 0 && scores[file]?.of === of) continue;
    try {
      const { mutants, detected, survived } = await measure(file, tests);
      for (const text of survived) console.log(text);
      console.log(`${file}: ${detected} of ${mutants} detected`);
      scores[file] = { of, date: new Date().toISOString().slice(0, 10), mutants, detected };
      writeScores(one, scores);
    } catch (error) {
      console.error(`${file}: not measured: ${error instanceof Error ? error.message : String(error)}`);
      process.exitCode = 1;
    }
  }
  console.log(scoreLines(one, scores).join('\n'));
}
