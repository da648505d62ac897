import { execFile } from 'node:child_process';
import { commandLine } from './programs.ts';
import { compileCache } from './run-commands.ts';

export interface CliRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The command-line tool as a separate process. */
export function runCli(folder: string, ...args: readonly string[]): Promise<CliRun> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', commandLine, ...args],
      {
        cwd: folder,
        env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
        timeout: 600_000,
        maxBuffer: 8 * 1024 * 1024,
      },
      (_error, out, err) => resolve({ code: child.exitCode ?? 1, out, err }),
    );
    child.stdin?.end();
  });
}
