import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Baseline } from './baseline.ts';
import type { Progress, Trial } from './campaign.ts';

/** Without a mutant, a test may take this long on a busy machine. */
const baselineStalledMs = 600_000;

/** Runs all tests once, without a mutant. `folder` has `instrumented.json`. */
export async function runBaseline(folder: string, tests: readonly string[]): Promise<Baseline> {
  writeFileSync(join(folder, 'tests.json'), JSON.stringify(tests));
  const output = await runVitest(folder, 'baseline', () => baselineStalledMs);
  const path = join(folder, 'baseline.json');
  if (!existsSync(path)) throw new Error(`the tests could not be run:\n${output.slice(-2_000)}`);
  return JSON.parse(readFileSync(path, 'utf8')) as Baseline;
}

/**
 * Tries mutants one after another in one process, in another one after each that stopped it.
 *
 * @returns the ids of the detected ones
 */
export async function runCampaign(folder: string, trials: readonly Trial[]): Promise<Set<string>> {
  if (trials.length === 0) return new Set();
  const path = join(folder, 'progress.json');
  const read = () => (existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Progress) : undefined);
  rmSync(path, { force: true });
  writeFileSync(join(folder, 'campaign.json'), JSON.stringify(trials));
  const limits = new Map(trials.map(({ id, stalledMs }) => [id, stalledMs]));
  const output = await runVitest(folder, 'campaign', () => limits.get(read()?.current ?? '') ?? baselineStalledMs);
  const progress = read();
  if (progress?.isComplete && progress.spoiled.length > 0 && trials.length > 1) {
    // What one of them left has changed results: nearer to a process for each.
    const half = Math.ceil(trials.length / 2);
    const first = await runCampaign(folder, trials.slice(0, half));
    return new Set([...first, ...(await runCampaign(folder, trials.slice(half)))]);
  }
  const detected = Object.keys(progress?.results ?? {}).filter((id) => progress?.results[id] === 'detected');
  if (progress?.isComplete) return new Set(detected);
  const { current } = progress ?? {};
  if (current === undefined) throw new Error(`the tests could not be run:\n${output.slice(-2_000)}`);
  const rest = trials.slice(trials.findIndex(({ id }) => id === current) + 1);
  return new Set([...detected, current, ...(await runCampaign(folder, rest))]);
}

/** @returns its output, also if it was stopped because there was no progress for as long as `stalledMs` allows */
async function runVitest(folder: string, step: 'baseline' | 'campaign', stalledMs: () => number): Promise<string> {
  const child = spawn(
    'node_modules/.bin/vitest',
    ['run', '--root', '.', '--config', 'test/mutation/vitest.config.ts'],
    {
      detached: true,
      env: { ...process.env, MUTATION_FOLDER: folder, MUTATION_STEP: step },
    },
  );
  let output = '';
  const keep = (text: Buffer) => (output = `${output}${text.toString()}`.slice(-10_000));
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  // Servers that its tests started are in its group.
  const kill = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
  };
  // Before its files are removed.
  process.prependOnceListener('exit', kill);
  const path = join(folder, 'progress.json');
  const began = Date.now();
  while (child.exitCode === null && child.signalCode === null) {
    await wait(500);
    const last = Math.max(began, existsSync(path) ? statSync(path).mtimeMs : 0);
    if (Date.now() - last > stalledMs()) kill();
  }
  process.off('exit', kill);
  return output;
}
