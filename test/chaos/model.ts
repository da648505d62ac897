/**
 * The long run of the model of a delivery's life (test/e2e/support/model/run-model.ts):
 *
 *   ./dispatch chaos model [RUNS] [SEED]
 */
import { readLongCommand, readNumbers } from '@dicom-dispatch/harness';
import { runModel } from '../e2e/support/model/run-model.ts';

const { positionals } = readLongCommand({
  usage: './dispatch chaos model',
  about:
    'Random interleavings of acts on deliveries against a real Redis: RUNS of them (default 10000), random or from a SEED.',
  positionals: '[RUNS] [SEED]',
  options: {},
});
const [runs, seed] = readNumbers(positionals, 10_000, undefined);
const startedAt = performance.now();
// Most of the time of each is waiting for Redis.
const lanes = 4;
await Promise.all(
  Array.from({ length: lanes }, (_, lane) =>
    runModel(Math.ceil(runs / lanes), seed === undefined ? seed : seed + lane),
  ),
);
console.log(`${runs} runs good, ${Math.round((performance.now() - startedAt) / 1000)} s`);
