/**
 * The campaign of applies: a change of the configuration is applied, and a process is killed at a time derived from a seed.
 * Afterwards all services must use the same one of the two versions.
 *
 *   ./dispatch chaos apply [--services] [FROM] [TO]
 */
import { parseArgs } from 'node:util';
import { badVerdict, startApplyScene } from './apply/run-applies.ts';
import { startWholeScene } from './apply/whole-services.ts';

const { values, positionals } = parseArgs({
  options: { help: { type: 'boolean', default: false }, services: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const [from = 1, to = 200] = positionals.map(Number);
if (values.help || !(from >= 1 && to >= from)) {
  console.log(`usage: ./dispatch chaos apply [--services] [FROM] [TO]
  seeds FROM to TO; 1 to 200 unless told otherwise; --services: with whole router, dispatcher and console processes`);
  process.exit(values.help ? 0 : 2);
}
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
