import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface FileScore {
  /** `contentHash` of the file and of the tests with which it was measured. */
  readonly of: string;
  readonly date: string;
  readonly mutants: number;
  readonly detected: number;
}

/** By file. */
export type Scores = Record<string, FileScore>;

/** Outside of git: a result is of this checkout. */
function pathOf(name: string): string {
  return fileURLToPath(new URL(`../../node_modules/.cache/mutation/${name}.json`, import.meta.url));
}

export function readScores(name: string): Scores {
  const path = pathOf(name);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Scores) : {};
}

export function writeScores(name: string, scores: Scores): void {
  mkdirSync(dirname(pathOf(name)), { recursive: true });
  writeFileSync(pathOf(name), `${JSON.stringify(scores, undefined, 1)}\n`);
}

export function contentHash(files: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of files) hash.update(`${file}\n`).update(readFileSync(file));
  return hash.digest('base64url').slice(0, 16);
}

/** A table for docs/reliability.md, with the sum of the measured files. */
export function scoreLines(name: string, scores: Scores): string[] {
  const rows = Object.entries(scores).sort(([one], [other]) => (one < other ? -1 : 1));
  const sum = (key: 'mutants' | 'detected'): number => rows.reduce((all, [, score]) => all + score[key], 0);
  return [
    ...rows.map(([file, { date, mutants, detected }]) => row(`\`packages/${name}/${file}\``, date, mutants, detected)),
    row(`${name}, ${rows.length} files`, '', sum('mutants'), sum('detected')),
  ];
}

function row(name: string, date: string, mutants: number, detected: number): string {
  const percent = mutants === 0 ? '' : ` (${Math.floor((100 * detected) / mutants)} %)`;
  return `| ${name} | ${date} | ${mutants} | ${detected}${percent} |`;
}
