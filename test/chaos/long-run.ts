/**
 * The long chaos run: schedules FROM to TO, several at a time, each judged at the receivers; with --write its result goes
 * into docs/reliability.md.
 *
 *   ./dispatch chaos 1 200 [--write]
 */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { formatDuration } from '@dicom-dispatch/core';
import type { Verdict } from './judge.ts';
import { makeSchedule } from './make-schedule.ts';
import { runSchedule } from './run-schedule.ts';

const [from = 1, to = 200] = process.argv
  .slice(2)
  .filter((text) => /^\d+$/.test(text))
  .map(Number);
const isWritten = process.argv.includes('--write');
const lanes = 3;
const startedAt = Date.now();
const verdicts: Verdict[] = [];
const queue = Array.from({ length: to - from + 1 }, (_, index) => from + index);

await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
      const verdict = await runSchedule(makeSchedule(seed, { studies: 4, faults: 7 })).catch((error: unknown): string =>
        String(error),
      );
      if (typeof verdict === 'string') {
        console.log(`${seed}: could not be run: ${verdict}`);
        process.exitCode = 1;
        continue;
      }
      verdicts.push(verdict);
      const isGood =
        verdict.isQuiet &&
        verdict.missing + verdict.falselyDelivered === 0 &&
        verdict.duplicates <= verdict.duplicatesAllowed;
      console.log(
        `${seed}: ${isGood ? 'good' : 'BAD '} ${verdict.instances} instances, missing ${verdict.missing}, false ${verdict.falselyDelivered}, twice ${verdict.duplicates}`,
      );
      if (!isGood) {
        process.exitCode = 1;
        await writeFile(`/tmp/chaos-${seed}.log`, verdict.logs);
      }
    }
  }),
);
const sum = (count: (verdict: Verdict) => number): number =>
  verdicts.reduce((total, verdict) => total + count(verdict), 0);
const result = [
  `| Schedules run | ${verdicts.length} (seeds ${from} to ${to}, 4 studies and 7 faults each) |`,
  '|---|---|',
  `| Instances uploaded | ${sum(({ instances }) => instances)}, to two targets each |`,
  `| Disturbances | ${sum(({ disturbances }) => disturbances)} |`,
  `| **Missing at a receiver** | **${sum(({ missing }) => missing)}** |`,
  `| **Falsely delivered** | **${sum(({ falselyDelivered }) => falselyDelivered)}** |`,
  `| C-STOREs of what had arrived | ${sum(({ duplicates }) => duplicates)}, at most ${Math.max(...verdicts.map(({ duplicates }) => duplicates))} in a schedule |`,
  `| Did not come to rest by themselves | ${verdicts.filter(({ isQuiet }) => !isQuiet).length} |`,
  `| Took | ${formatDuration(Date.now() - startedAt)} on ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB |`,
].join('\n');
console.log(result);
if (isWritten) {
  const file = new URL('../../docs/reliability.md', import.meta.url);
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/(<!-- chaos -->\n)[\s\S]*?(\n<!-- end -->)/, `$1${result}$2`));
}
