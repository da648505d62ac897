import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { cacheConfig, type CacheConfig } from '@dicom-dispatch/core';

export type CacheInput = (typeof cacheConfig)['_zod']['input'];

/** The configuration as it would stand in a file. */
export function configOf(input: CacheInput): CacheConfig {
  return cacheConfig.parse(input);
}

export interface Child {
  readonly process: ChildProcess;
  /** What it printed, when it has ended by itself. */
  readonly output: Promise<string>;
}

/** Runs a program beside this file in a process of its own, with the same node. */
export function runChild(name: string, args: readonly string[]): Child {
  const child = spawn(process.execPath, [join(import.meta.dirname, name), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [printed, complaints] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (complaints += chunk.toString()));
  async function untilEnd(): Promise<string> {
    const [code] = (await once(child, 'close')) as [number | null];
    if (code !== 0 && !child.killed) throw new Error(`${name} ended with ${code}: ${complaints}`);
    return printed;
  }
  return { process: child, output: untilEnd() };
}
