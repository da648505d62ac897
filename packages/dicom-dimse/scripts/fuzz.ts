/**
 * Long fuzzing run of the decoders: node scripts/fuzz.ts [CASES] [SEED]
 * Ends with a report, or at the first finding with the seed and the case that reproduce it.
 */
import { fuzzDecoders } from '../src/testing/fuzz-decoders.ts';

const [cases = 10_000_000, seed = 1] = process.argv.slice(2).map(Number);
const begun = performance.now();
const report = fuzzDecoders(cases, seed, (done) => {
  if (done % 1_000_000 === 0) console.log(`${done} cases, ${Math.round((performance.now() - begun) / 1000)} s`);
});
const rssBytes = process.resourceUsage().maxRSS * 1024;
console.log(JSON.stringify({ seed, ...report, peakRssBytes: rssBytes, tookMs: Math.round(performance.now() - begun) }));
