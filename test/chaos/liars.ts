/**
 * The campaign of false responses: the source and every kind of receiver give the false responses of docs/reliability.md, at
 * times derived from a seed. With --write the result is written into docs/reliability.md.
 *
 *   ./dispatch chaos liars --help
 */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatDuration } from '@dicom-dispatch/core';
import { readLongCommand, readSeeds, startSwift } from '@dicom-dispatch/harness';
import { startLiarScene } from './liars/liar-scene.ts';
import { runLiars, type LiarVerdict } from './liars/run-liars.ts';

const { values, positionals } = readLongCommand({
  usage: './dispatch chaos liars',
  about:
    'False responses of the source and of every kind of receiver, at times derived from a seed. Seeds FROM to TO; without TO one seed, without both 1 to 200.',
  positionals: '[FROM] [TO]',
  options: {
    lanes: { type: 'number', default: 2, about: 'seeds at the same time' },
    write: { type: 'boolean', about: 'write the result into docs/reliability.md' },
  },
});
const { from, to } = readSeeds(positionals);
const { lanes } = values;
const startedAt = Date.now();
const verdicts: LiarVerdict[] = [];
const queue = Array.from({ length: to - from + 1 }, (_, index) => from + index);
await using swift = await startSwift();

await Promise.all(
  Array.from({ length: Math.min(lanes, queue.length) }, async () => {
    await using scene = await startLiarScene(swift);
    for (let seed = queue.shift(); seed !== undefined; seed = queue.shift()) {
      const verdict = await runLiars(seed, scene).catch((error: unknown): string => String(error));
      if (typeof verdict === 'string') {
        console.log(`${seed}: could not be run: ${verdict}`);
        process.exitCode = 1;
        continue;
      }
      verdicts.push(verdict);
      const isGood = verdict.isQuiet && verdict.missing + verdict.falselyDelivered === 0;
      console.log(
        `${seed}: ${isGood ? 'good' : 'BAD '} ${verdict.instances} instances, lies ${JSON.stringify(verdict.lies)}, missing ${verdict.missing}, false ${verdict.falselyDelivered}, retried by hand ${verdict.retried}`,
      );
      if (!isGood) {
        process.exitCode = 1;
        await writeFile(join(tmpdir(), `liars-${seed}.log`), verdict.logs);
      }
    }
  }),
);
const sum = (count: (verdict: LiarVerdict) => number): number =>
  verdicts.reduce((total, verdict) => total + count(verdict), 0);
const liesBy = (who: string): number => sum(({ lies }) => lies[who] ?? 0);
const result = [
  `| Seeds run | ${verdicts.length} (${from} to ${to}) |`,
  '|---|---|',
  `| Instances uploaded | ${sum(({ instances }) => instances)}, to five targets each |`,
  `| False responses of the source | ${liesBy('source')} |`,
  `| False responses of receivers | DICOM ${liesBy('dicom')}, DICOMweb ${liesBy('dicomweb')}, Orthanc ${liesBy('orthanc')}, S3 ${liesBy('s3')} |`,
  `| **Falsely delivered** | **${sum(({ falselyDelivered }) => falselyDelivered)}** |`,
  `| **Missing after the false responses had stopped** | **${sum(({ missing }) => missing)}** |`,
  `| Deliveries completed by a manual retry | ${sum(({ retried }) => retried)} |`,
  `| Did not complete | ${verdicts.filter(({ isQuiet }) => !isQuiet).length} |`,
  `| Took | ${formatDuration(Date.now() - startedAt)} on ${cpus().length} cores |`,
].join('\n');
console.log(result);
if (values.write) {
  const file = new URL('../../docs/reliability.md', import.meta.url);
  const text = await readFile(file, 'utf8');
  await writeFile(file, text.replace(/(<!-- liars -->\n)[\s\S]*?(\n<!-- end liars -->)/, `$1${result}$2`));
}
