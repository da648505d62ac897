import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { descendants } from './process-tree.ts';
import { unwatch, watch } from './watchdog.ts';

export interface Command {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

/** One run of a program, in a separate process group. */
export interface ServerProcess {
  readonly pid: number;
  /** Standard output and error so far, the last 256 KiB. */
  output(): string;
  isRunning(): boolean;
  /** How it ended, as text. */
  ending(): string;
  /** Signals it and its children; after a fatal signal, waits for the end. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Stops it (SIGTERM), and after the given time kills it and all its children; 0 kills immediately. */
  end(graceMs: number): Promise<void>;
}

const keptOutputBytes = 256 * 1024;
const survivable: ReadonlySet<NodeJS.Signals> = new Set(['SIGSTOP', 'SIGCONT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']);

export async function spawnServer(name: string, { command, args, env, cwd }: Command): Promise<ServerProcess> {
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A separate group: signals then reach the children too, and Ctrl-C at the runner does not.
    detached: true,
  });
  const output = collectOutput(child);
  try {
    await once(child, 'spawn');
  } catch (error) {
    throw new Error(`${name}: ${command} does not start; is its package installed (scripts/system-parts test)?`, {
      cause: error,
    });
  }
  const pid = child.pid!;
  watch('group', pid, name);
  child.unref();
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  async function waitForEnd(): Promise<void> {
    // A running server does not keep this process running, but waiting for its end does.
    child.ref();
    await ended;
  }
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null;

  const ending = (): string => (isRunning() ? 'runs' : (child.signalCode ?? `exit code ${child.exitCode}`));

  async function kill(signal: NodeJS.Signals): Promise<void> {
    const tree = descendants(pid);
    signalTree(tree, signal);
    if (survivable.has(signal)) return;
    // A stopped process only reacts to SIGKILL.
    if (signal !== 'SIGKILL') signalTree(tree, 'SIGCONT');
    await waitForEnd();
    forget(tree);
  }

  async function end(graceMs: number): Promise<void> {
    if (isRunning() && graceMs === 0) {
      await kill('SIGKILL');
      return;
    }
    const tree = descendants(pid);
    if (isRunning()) {
      signalProcess(pid, 'SIGTERM');
      signalTree(tree, 'SIGCONT');
      const timer = setTimeout(() => signalTree(tree, 'SIGKILL'), graceMs);
      await waitForEnd();
      clearTimeout(timer);
    }
    forget(tree);
  }

  /** The group, and processes that left it: sshd gives each connection a separate session. */
  function signalTree(tree: readonly number[], signal: NodeJS.Signals): void {
    signalProcess(-pid, signal);
    for (const one of tree) signalProcess(one, signal);
  }

  /** Children of an ended server must not outlive it. */
  function forget(tree: readonly number[]): void {
    signalTree(tree, 'SIGKILL');
    unwatch('group', pid);
  }

  return { pid, output, isRunning, ending, kill, end };
}

function collectOutput(child: ChildProcess): () => string {
  let chunks: Buffer[] = [];
  let held = 0;
  for (const stream of [child.stdout!, child.stderr!]) {
    (stream as unknown as { unref(): void }).unref();
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      held += chunk.length;
      if (held <= keptOutputBytes * 2) return;
      const kept = Buffer.concat(chunks).subarray(-keptOutputBytes);
      chunks = [kept];
      held = kept.length;
    });
  }
  return () => Buffer.concat(chunks).subarray(-keptOutputBytes).toString();
}

function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
