import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cacheConfig, Secret, type CacheConfig } from '@dicom-dispatch/core';

export type CacheInput = (typeof cacheConfig)['_zod']['input'];

export const testSecret = new Secret('a key for tests');

/** The configuration as in a file. */
export function configOf(input: CacheInput): CacheConfig {
  return cacheConfig.parse(input);
}

export interface Child {
  readonly process: ChildProcess;
  /** Its output, when it has ended by itself. */
  readonly output: Promise<string>;
}

const running = new Set<ChildProcess>();

/** Ends processes left running by a failed test. */
export function killChildren(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** With a compile cache, several processes of the same program start in half the time. */
const compileCache = join(import.meta.dirname, '../../node_modules/.cache/compile');

/** Runs a program beside this file in a separate process, with the same node. */
export function runChild(name: string, args: readonly string[]): Child {
  const child = spawn(process.execPath, [join(import.meta.dirname, name), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  });
  running.add(child);
  let [printed, complaints] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  async function untilEnd(): Promise<string> {
    const [code] = (await once(child, 'close')) as [number | null];
    running.delete(child);
    if (code !== 0 && !child.killed) throw new Error(`${name} ended with ${code}: ${complaints}`);
    return printed;
  }
  const output = untilEnd();
  // Callers may await the output later: until then a failure must not be an unhandled rejection.
  output.catch(() => {});
  return { process: child, output };
}
