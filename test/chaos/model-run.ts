/**
 * The long run of the model of a delivery's life (test/e2e/support/model/run-model.ts):
 *
 *   ./dispatch chaos model [RUNS] [SEED]
 */
import { runModel } from '../e2e/support/model/run-model.ts';

const [runs = 10_000, seed] = process.argv.slice(2).map(Number);
const startedAt = performance.now();
// Most of the time of each is waiting for Redis.
const lanes = 4;
await Promise.all(
  Array.from({ length: lanes }, (_, lane) =>
    runModel(Math.ceil(runs / lanes), seed === undefined ? seed : seed + lane),
  ),
);
console.log(`${runs} runs good, ${Math.round((performance.now() - startedAt) / 1000)} s`);
