import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Instrumenter } from '@stryker-mutator/instrumenter';
import type { Campaign, Progress } from './campaign.ts';

export interface Measured {
  /** Without those in code that runs only when its module is loaded. */
  readonly mutants: number;
  readonly detected: number;
  /** As text, with place and change. */
  readonly survived: readonly string[];
}

/** Without progress for this time, far longer than a test takes on a busy machine, a mutant has stopped its process: detected. */
const stalledMs = 600_000;

const no = () => false;
const silent = () => {};
const logger = {
  isTraceEnabled: no,
  isDebugEnabled: no,
  isInfoEnabled: no,
  isWarnEnabled: no,
  isErrorEnabled: no,
  isFatalEnabled: no,
  trace: silent,
  debug: silent,
  info: silent,
  warn: silent,
  error: silent,
  fatal: silent,
};

/**
 * Measures one file of the package in the working directory, in a copy of its sources. All mutants are in the code at once, each behind a
 * switch, and one process runs the tests with one after another (`campaign.ts`).
 *
 * @throws an error if the tests do not pass without a mutant, before the campaign or after it
 */
export async function measure(file: string, tests: readonly string[]): Promise<Measured> {
  const content = readFileSync(file, 'utf8');
  const { files, mutants } = await new Instrumenter(logger).instrument(
    [{ name: resolve(file), mutate: true, content }],
    { plugins: null, excludedMutations: [], ignorers: [] },
  );
  const folder = `.mutation-tmp/${process.pid}`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    cpSync('src', join(folder, 'src'), { recursive: true });
    cpSync('package.json', join(folder, 'package.json'));
    symlinkSync('../../node_modules', join(folder, 'node_modules'));
    writeFileSync(join(folder, file), files[0]?.content ?? '');
    cpSync(fileURLToPath(new URL('campaign.ts', import.meta.url)), join(folder, 'campaign.test.ts'));
    const ids = mutants.map(({ id }) => id);
    const { results, hits, atLoad } = await runCampaign(folder, { ids, tests, detected: [] });
    const counted = mutants.filter(({ id }) => id in hits || !(id in atLoad));
    const left = counted.filter(({ id }) => results[id] !== 'detected');
    const lines = content.split('\n');
    const survived = left.map(({ id, location: { start }, mutatorName, replacement }) => {
      const kind = id in hits ? 'survived' : 'covered by no test';
      const code = lines[start.line]?.trim();
      return `${kind}: ${file}:${start.line + 1}:${start.column + 1} ${mutatorName}\n  ${code}\n  ${replacement}`;
    });
    return { mutants: counted.length, detected: counted.length - left.length, survived };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function runCampaign(folder: string, campaign: Campaign): Promise<Progress> {
  writeFileSync(join(folder, 'campaign.json'), JSON.stringify(campaign));
  const { isStalled, output } = await runTests(folder);
  const path = join(folder, 'progress.json');
  const progress = existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Progress) : undefined;
  if (!progress || progress.failed !== undefined || (isStalled && progress.current === undefined)) {
    throw new Error(progress?.failed ?? `the tests could not be run:\n${output.slice(-2_000)}`);
  }
  if (!isStalled) return progress;
  const { ids, tests } = campaign;
  const detected = [
    ...Object.keys(progress.results).filter((id) => progress.results[id] === 'detected'),
    progress.current ?? '',
  ];
  const rest = ids.slice(ids.indexOf(progress.current ?? '') + 1);
  const next = await runCampaign(folder, { ids: rest, tests, detected });
  return { ...next, results: { ...progress.results, ...next.results } };
}

async function runTests(folder: string): Promise<{ isStalled: boolean; output: string }> {
  const vitest = fileURLToPath(new URL('../../node_modules/.bin/vitest', import.meta.url));
  const config = fileURLToPath(new URL('vitest.config.ts', import.meta.url));
  const child = spawn(vitest, ['run', '--root', resolve(folder), '--config', config, '--silent'], {
    cwd: folder,
    detached: true,
  });
  let output = '';
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (output += text));
  const path = join(folder, 'progress.json');
  const began = Date.now();
  while (child.exitCode === null && child.signalCode === null) {
    await wait(500);
    const last = Math.max(began, existsSync(path) ? statSync(path).mtimeMs : 0);
    if (Date.now() - last < stalledMs) continue;
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    return { isStalled: true, output };
  }
  return { isStalled: false, output };
}
