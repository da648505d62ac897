/**
 * The campaign of applies: a change of the configuration is applied, and a process is killed at a time derived from a seed.
 * Afterwards all services must use the same one of the two versions.
 *
 *   ./dispatch chaos apply --help
 */
import { readLongCommand, readSeeds } from '@dicom-dispatch/harness';
import { badVerdict, startApplyScene } from './apply/run-applies.ts';
import { startWholeScene } from './apply/whole-services.ts';

const { values, positionals } = readLongCommand({
  usage: './dispatch chaos apply',
  about:
    'Applies changes of the configuration and kills a process at a time derived from a seed: all services must use the same version afterwards. Seeds FROM to TO; without TO one seed, without both 1 to 200.',
  positionals: '[FROM] [TO]',
  options: {
    services: { type: 'boolean', about: 'with whole router, dispatcher and console processes' },
  },
});
const { from, to } = readSeeds(positionals);
await using scene = await (values.services ? startWholeScene() : startApplyScene());
const counts: Record<string, number> = {};
for (let seed = from; seed <= to; seed += 1) {
  const verdict = await scene.run(seed);
  const { victim, afterMs, outcome = 'killed', file, next } = verdict;
  const why = badVerdict(verdict);
  if (why !== undefined) process.exitCode = 1;
  const end = `${outcome}, ${file === next ? 'new' : 'former'} version`;
  counts[end] = (counts[end] ?? 0) + 1;
  console.log(`${seed}: ${why === undefined ? 'good' : `BAD ${why}`}; ${victim} after ${afterMs} ms: ${end}`);
}
console.log(JSON.stringify(counts));
