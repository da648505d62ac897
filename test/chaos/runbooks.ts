/**
 * Follows docs/runbooks.md: runs each command of each runbook as written, on real servers, and checks that the outcome is
 * what the runbook describes.
 *
 *   ./dispatch chaos runbooks [NAME...]
 */
import { readLongCommand } from '@dicom-dispatch/harness';
import * as anotherHost from './runbooks/another-host.ts';
import * as deadPacs from './runbooks/dead-pacs.ts';
import * as deadSource from './runbooks/dead-source.ts';
import * as migration from './runbooks/migration.ts';
import * as redisFull from './runbooks/redis-full.ts';
import * as redisMoves from './runbooks/redis-moves.ts';

const walks = { deadPacs, deadSource, migration, redisFull, redisMoves, anotherHost };
const { positionals: names } = readLongCommand({
  usage: './dispatch chaos runbooks',
  about: `Follows docs/runbooks.md on real servers. NAME: ${Object.keys(walks).join(', ')}; without one, all of them.`,
  positionals: '[NAME]...',
  options: {},
});
const wrong = names.find((name) => !Object.keys(walks).includes(name));
if (wrong !== undefined) {
  console.error(`${wrong}: there is no such runbook; there are ${Object.keys(walks).join(', ')}`);
  process.exit(2);
}
for (const [name, { title, walk }] of Object.entries(walks)) {
  if (names.length > 0 && !names.includes(name)) continue;
  console.log(`\n${title}`);
  const began = performance.now();
  try {
    const untried = await walk();
    const seconds = ((performance.now() - began) / 1_000).toFixed(0);
    console.log(`${title}: good, ${seconds} s${untried.length > 0 ? `; NOT TRIED: ${untried.join('; ')}` : ''}`);
    if (untried.length > 0) process.exitCode = 1;
  } catch (error) {
    console.log(`${title}: BAD: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
