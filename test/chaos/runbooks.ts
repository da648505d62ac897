/**
 * Follows docs/runbooks.md: runs each command of each runbook as written, on real servers, and checks that the outcome is
 * what the runbook describes.
 *
 *   ./dispatch chaos runbooks [NAME...]
 */
import * as anotherHost from './runbooks/another-host.ts';
import * as deadPacs from './runbooks/dead-pacs.ts';
import * as deadSource from './runbooks/dead-source.ts';
import * as migration from './runbooks/migration.ts';
import * as redisFull from './runbooks/redis-full.ts';
import * as redisMoves from './runbooks/redis-moves.ts';

const walks = { deadPacs, deadSource, migration, redisFull, redisMoves, anotherHost };
const names = process.argv.slice(2);
const wrong = names.filter((name) => !(name in walks));
if (wrong.length > 0) {
  console.error(`usage: ./dispatch chaos runbooks [${Object.keys(walks).join('|')}]...`);
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
