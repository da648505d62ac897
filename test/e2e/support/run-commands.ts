import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { commandLine, programFile } from './programs.ts';

/** Cache of the code that Node has compiled: the next process starts in half the time. */
export const compileCache = join(import.meta.dirname, '../../../node_modules/.cache/compiled');

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  /** Working directory of the commands. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

const commandHost = programFile('command-host', join(import.meta.dirname, 'command-host.ts'));
const quiet = '--disable-warning=ExperimentalWarning';

/** One command as a separate process, started as a shell does. */
export function spawnCommand({ cwd, env }: Surroundings, args: readonly string[], input = ''): Promise<Run> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [quiet, commandLine, ...args],
      { cwd, env: environment(env), timeout: 600_000, maxBuffer: 8 * 1024 * 1024 },
      (_error, out, err) => resolve({ code: child.exitCode ?? 1, out, err }),
    );
    child.stdin?.end(input);
  });
}

export interface CommandHost extends AsyncDisposable {
  /** Runs a command, one at a time. */
  run(...args: string[]): Promise<Run>;
}

/** One process for many commands. */
export function startCommandHost({ cwd, env }: Surroundings): CommandHost {
  const child = spawn(process.execPath, [quiet, commandHost], {
    cwd,
    env: environment(env),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const waiting: ((run: Run) => void)[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(JSON.parse(line) as Run));
  child.once('exit', (code) => {
    for (const resolve of waiting.splice(0)) resolve({ code: code ?? 1, out: '', err: 'the host of commands ended' });
  });
  return {
    run(...args) {
      const { promise, resolve } = Promise.withResolvers<Run>();
      waiting.push(resolve);
      child.stdin.write(`${JSON.stringify(args)}\n`);
      return promise;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.stdin.end();
      await ended;
    },
  };
}

function environment(env: Surroundings['env']): NodeJS.ProcessEnv {
  return { NODE_COMPILE_CACHE: compileCache, ...process.env, ...env };
}
