import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import type { DispatchError } from '@dicom-dispatch/core';
import { cancelledError, until } from '@dicom-dispatch/target-kit/flow';
import { notStarted } from './errors.ts';

export interface ProgramOptions {
  readonly signal: AbortSignal;
  /** Added to the few variables that every program gets. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to its standard input. */
  readonly input?: string;
  /** Called with each complete line of its standard output, which is then not stored. */
  onLine?(line: string): void;
  /** Ends the program with this error if it has printed nothing to its standard output for this time. */
  readonly silence?: {
    /** In milliseconds; 0 = no limit. */
    readonly limitMs: number;
    error(): DispatchError;
  };
  /** Ends the program with this error if its output shows too little progress. */
  readonly rate?: {
    /** 0 = no limit. */
    readonly minBytesPerSecond: number;
    readonly windowMs: number;
    /** Total transferred bytes according to a line; undefined for other lines, each of which is progress too. */
    bytesOf(line: string): number | undefined;
    error(): DispatchError;
  };
}

export interface ProgramEnd {
  /** Exit status; undefined if the program was ended by a signal. */
  readonly status: number | undefined;
  /** The last 64 KiB of its standard output, unless lines were requested. */
  readonly output: string;
  /** The last 16 KiB of its standard error. */
  readonly errors: string;
}

/** A program gets only the environment that it needs to be found and to use English; nothing that may be a secret. */
function plainEnvironment(): Record<string, string> {
  const kept = ['PATH', 'HOME', 'TMPDIR', 'USER', 'LOGNAME'].flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(kept), LC_ALL: 'C' };
}

/**
 * Runs a program without a shell and waits for its end. If the signal aborts, the program is ended together with its child
 * processes.
 *
 * @throws {DispatchError} if it cannot be started, the signal aborts, or it was ended for `silence` or `rate`
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: ProgramOptions,
): Promise<ProgramEnd> {
  const { input = '', onLine, silence, rate } = options;
  if (options.signal.aborted) throw cancelledError(options.signal);
  const silent = new AbortController();
  const signal = AbortSignal.any([options.signal, silent.signal]);
  let timer: NodeJS.Timeout | undefined;
  function startTimer(): void {
    clearTimeout(timer);
    if (silence && silence.limitMs > 0) timer = setTimeout(() => silent.abort(silence.error()), silence.limitMs);
  }
  // A separate process group, so that ssh ends together with the rsync that has started it.
  const child = await started(program, args, { ...plainEnvironment(), ...options.env });
  const closed = once(child, 'close') as Promise<[number | null]>;
  let output = '';
  let errors = '';
  let line = '';
  startTimer();
  const stopWatching = rate ? watchRate(rate, () => silent.abort(rate.error())) : undefined;
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    startTimer();
    if (!onLine) {
      output = (output + text).slice(-65_536);
      return;
    }
    const lines = (line + text).split(/[\r\n]/);
    line = lines.pop()?.slice(-65_536) ?? '';
    for (const one of lines) {
      stopWatching?.see(one);
      onLine(one);
    }
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-16_384);
  });
  // A program that ends early does not read its input: its status shows this.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  try {
    const [status] = await until(closed, signal);
    return { status: status ?? undefined, output, errors };
  } catch (thrown) {
    await endGroup(child.pid, closed);
    throw thrown;
  } finally {
    clearTimeout(timer);
    stopWatching?.stop();
  }
}

/** @throws {DispatchError} if the program cannot be started: Node throws some of these errors, and emits others */
async function started(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<RunningProgram> {
  try {
    const child = spawn(program, args, { detached: true, env, stdio: ['pipe', 'pipe', 'pipe'] });
    if (child.pid === undefined) await once(child, 'spawn');
    return child as RunningProgram;
  } catch (thrown) {
    throw notStarted(program, thrown);
  }
}

type RunningProgram = ChildProcessWithoutNullStreams & { readonly pid: number };

const bytesPerLine = 4_096;

function watchRate(
  { minBytesPerSecond, windowMs, bytesOf }: NonNullable<ProgramOptions['rate']>,
  onSlow: () => void,
): { see(line: string): void; stop(): void } {
  let bytes = 0;
  let lines = 0;
  let before = 0;
  const timer =
    minBytesPerSecond > 0
      ? setInterval(() => {
          const now = bytes + lines * bytesPerLine;
          if (now - before < (minBytesPerSecond * windowMs) / 1000) onSlow();
          before = now;
        }, windowMs)
      : undefined;
  return {
    see(line) {
      const through = bytesOf(line);
      if (through === undefined) lines += 1;
      else bytes = Math.max(bytes, through);
    },
    stop: () => clearInterval(timer),
  };
}

/** SIGTERM lets rsync clean up; after half a second it is killed. */
async function endGroup(pid: number, closed: Promise<unknown>): Promise<void> {
  const kill = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name);
    } catch {
      // The group has already ended.
    }
  };
  kill('SIGTERM');
  const timer = setTimeout(() => kill('SIGKILL'), 500);
  await closed.catch(() => {});
  clearTimeout(timer);
}
