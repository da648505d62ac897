import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { measure } from './measure.ts';
import { packages, sourcesOf, testsOf } from './package-files.ts';
import { interval, sample } from './sample.ts';

/**
 * Mutation testing: ./dispatch test mutation PACKAGE [FILE...] [--sample N] [--seed S] [--tests FILE]...
 *
 * Changes the sources of a package in small ways (a mutant) and runs the tests that reach the place: a mutant that no test detects has
 * survived. Prints those, the score of each file and that of all. With a sample the score is an estimate for the files, with its 95 %
 * interval. Measured scores: docs/reliability.md.
 */

process.chdir(fileURLToPath(new URL('../..', import.meta.url)));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { sample: { type: 'string' }, seed: { type: 'string' }, tests: { type: 'string', multiple: true } },
});
const [name, ...files] = positionals;
const count = values.sample === undefined ? Infinity : Number(values.sample);
const seed = values.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(values.seed);
if (name === undefined || !packages.includes(name) || !(count >= 1) || !Number.isSafeInteger(seed)) {
  console.error(
    `usage: ./dispatch test mutation PACKAGE [FILE...] [--sample N] [--seed S] [--tests FILE]...; packages: ${packages.join(', ')}`,
  );
  process.exit(2);
}

// Ends with the processes and files of the measurement.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const sources = sourcesOf(name).filter((path) => files.length === 0 || files.some((file) => path.endsWith(file)));
const { all, results, failing } = await measure({
  sources,
  tests: values.tests ?? testsOf(name),
  choose: (mutants) => sample(mutants, count, seed),
  onProgress: (tried, of) => console.error(`${tried} of ${of} tried`),
});

for (const test of failing) console.log(`left out, fails without a mutant: ${test}`);
for (const { mutant, result } of results) {
  if (result === 'survived') console.log(`survived: ${mutant.text}`);
  if (result === 'no test') console.log(`reached by no test: ${mutant.text}`);
}
for (const file of sources) {
  const own = results.filter(({ mutant }) => mutant.file === file);
  if (own.length > 0) console.log(row(file, own));
}
console.log(row(`${name}, ${sources.length} files`, results));
if (results.length < all) {
  const { low, high } = interval(results.filter(({ result }) => result === 'detected').length, results.length);
  console.log(
    `a sample of ${results.length} of ${all} mutants, seed ${seed}: 95 % interval ${percent(low)} to ${percent(high)}`,
  );
}

function row(label: string, of: typeof results): string {
  const detected = of.filter(({ result }) => result === 'detected').length;
  return `${label}: ${detected} of ${of.length} detected (${percent(detected / of.length)})`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
