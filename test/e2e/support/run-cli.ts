import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compileCache } from './run-commands.ts';

const main = fileURLToPath(import.meta.resolve('@dicom-dispatch/cli/main'));

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
      ['--disable-warning=ExperimentalWarning', main, ...args],
      {
        cwd: folder,
        env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
        timeout: 120_000,
        maxBuffer: 8 * 1024 * 1024,
      },
      (_error, out, err) => resolve({ code: child.exitCode ?? 1, out, err }),
    );
    child.stdin?.end();
  });
}
