/**
 * The long chaos run: schedules FROM to TO, several at a time, each judged at the receivers; with --write its result goes
 * into docs/reliability.md.
 *
 *   ./dispatch chaos --help
 */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { formatDuration } from '@dicom-dispatch/core';
import { readLongCommand, readSeeds } from '@dicom-dispatch/harness';
import type { Verdict } from './judge.ts';
import { makeSchedule } from './make-schedule.ts';
import { runSchedule } from './run-schedule.ts';

const { values, positionals } = readLongCommand({
  usage: './dispatch chaos',
  about:
    'The long chaos run: schedules FROM to TO (without TO one, without both 1 to 200), each judged at the receivers. Other campaigns: ./dispatch chaos apply, files, liars, model.',
  positionals: '[FROM] [TO]',
  options: {
    lanes: { type: 'number', default: 3, about: 'schedules at the same time' },
    start: { type: 'choice', of: ['stable', 'arrival'], default: 'stable', about: 'when deliveries start' },
    write: { type: 'boolean', about: 'write the result into docs/reliability.md' },
  },
});
const { from, to } = readSeeds(positionals);
const { lanes, start } = values;
const startedAt = Date.now();
const verdicts: Verdict[] = [];
const queue = Array.from({ length: to - from + 1 }, (_, index) => from + index);

await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
      // Instances that are hidden after their upload have already been sent by then if studies are sent as they arrive.
      const exam = start === 'stable';
      const verdict = await runSchedule(makeSchedule(seed, { studies: 4, faults: 7, exam, start })).catch(
        (error: unknown): string => String(error),
      );
      if (typeof verdict === 'string') {
        console.log(`${seed}: could not be run: ${verdict}`);
        process.exitCode = 1;
        continue;
      }
      verdicts.push(verdict);
      const { passes, instances, missing, falselyDelivered, falselyGone, duplicates, isQuiet, isAlarmed } = verdict;
      const words = [
        `${instances} instances, missing ${missing}, false ${falselyDelivered + falselyGone}, twice ${duplicates}`,
        ...(verdict.lostData ? ['Redis lost data'] : []),
        ...(isQuiet ? [] : ['NOT AT REST']),
        ...(isAlarmed ? [] : ['NO ALARM']),
        ...(verdict.isGood ? [] : ['STATUS NOT 0']),
      ];
      console.log(`${seed}: ${passes ? 'good' : 'BAD '} ${words.join(', ')}`);
      if (!passes) {
        process.exitCode = 1;
        await writeFile(join(tmpdir(), `chaos-${seed}.log`), verdict.logs);
      }
    }
  }),
);
const sum = (count: (verdict: Verdict) => number): number =>
  verdicts.reduce((total, verdict) => total + count(verdict), 0);
const whole = verdicts.filter(({ lostData }) => !lostData);
const max = (of: readonly Verdict[]): number => Math.max(0, ...of.map(({ duplicates }) => duplicates));
const count = (is: (verdict: Verdict) => boolean): number => verdicts.filter(is).length;
const result = [
  `| Schedules run | ${verdicts.length} (seeds ${from} to ${to}, 4 studies and 7 faults each, start: ${start}) |`,
  '|---|---|',
  `| Instances uploaded | ${sum(({ instances }) => instances)}, to two targets each |`,
  `| Disturbances | ${sum(({ disturbances }) => disturbances)} |`,
  `| **Missing at a receiver** | **${sum(({ missing }) => missing)}** |`,
  `| **Falsely delivered** | **${sum(({ falselyDelivered }) => falselyDelivered)}** |`,
  `| **Falsely reported as gone from the source** | **${sum(({ falselyGone }) => falselyGone)}** |`,
  `| **Not complete after all faults were removed** | **${count(({ isQuiet }) => !isQuiet)}** |`,
  `| \`status --check\` 0 with a fault present | ${count(({ isAlarmed }) => !isAlarmed)} |`,
  `| \`status --check\` not 0 at the end | ${count(({ isGood }) => !isGood)} |`,
  `| C-STOREs of instances that had arrived | ${whole.reduce((total, { duplicates }) => total + duplicates, 0)}, at most ${max(whole)} in a schedule |`,
  `| Schedules in which Redis lost data | ${verdicts.length - whole.length}: ${sum(({ duplicates }) => duplicates) - whole.reduce((total, { duplicates }) => total + duplicates, 0)} C-STOREs of instances that had arrived |`,
  `| Took | ${formatDuration(Date.now() - startedAt)} on ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB |`,
].join('\n');
console.log(result);
if (values.write && start === 'stable') {
  const file = new URL('../../docs/reliability.md', import.meta.url);
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/(<!-- chaos -->\n)[\s\S]*?(\n<!-- end -->)/, `$1${result}$2`));
}
