import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';

export interface Measured {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly output: string;
}

const TICKS_PER_SECOND = 100;

/** Runs a program to its end; CPU and memory come from /proc, watched while it runs. @throws Error unless it ends well. */
export async function measureProcess(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<Measured> {
  const begun = performance.now();
  const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  let cpuSeconds = 0;
  let peakBytes = 0;
  const look = async (): Promise<void> => {
    try {
      const [status, stat] = await Promise.all([
        readFile(`/proc/${child.pid}/status`, 'utf8'),
        readFile(`/proc/${child.pid}/stat`, 'utf8'),
      ]);
      peakBytes = Math.max(peakBytes, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024);
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      cpuSeconds = Math.max(cpuSeconds, (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND);
    } catch {
      // It has ended.
    }
  };
  const watching = setInterval(() => void look(), 5);
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  const seconds = (performance.now() - begun) / 1000;
  clearInterval(watching);
  const output = Buffer.concat(chunks).toString();
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${output}`);
  return { seconds, cpuSeconds, peakBytes, output };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = 0, high = 0] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]];
  return (low + high) / 2;
}
