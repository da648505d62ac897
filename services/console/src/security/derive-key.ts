import type { ScryptOptions } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { DeriveAnswer, DeriveRequest } from './derive-worker.ts';

const idleMs = 30_000;

let worker: Worker | undefined;
let nextId = 0;
let timer: NodeJS.Timeout | undefined;
const waiting = new Map<number, (key: Buffer | undefined) => void>();

/**
 * Runs scrypt in a separate thread, which ends when nobody signs in: in Node's thread pool it would wait for file operations of
 * deliveries, and vice versa.
 *
 * @returns undefined if the parameters cannot be used
 */
export function deriveKey(
  password: string,
  salt: Uint8Array,
  keyBytes: number,
  options: ScryptOptions,
): Promise<Buffer | undefined> {
  const { promise, resolve } = Promise.withResolvers<Buffer | undefined>();
  const id = (nextId += 1);
  waiting.set(id, resolve);
  clearTimeout(timer);
  const thread = (worker ??= start());
  thread.ref();
  // eslint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, this is a thread
  thread.postMessage({ id, password, salt, keyBytes, options } satisfies DeriveRequest);
  return promise;
}

function start(): Worker {
  const made = new Worker(new URL('./derive-worker.ts', import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  });
  made.on('message', ({ id, key }: DeriveAnswer) => {
    waiting.get(id)?.(key && Buffer.from(key));
    waiting.delete(id);
    if (waiting.size > 0) return;
    made.unref();
    timer = setTimeout(() => void end(made), idleMs).unref();
  });
  made.on('error', () => void end(made));
  made.on('exit', () => void end(made));
  return made;
}

async function end(thread: Worker): Promise<void> {
  if (worker !== thread) return;
  worker = undefined;
  for (const resolve of waiting.values()) resolve(undefined);
  waiting.clear();
  await thread.terminate();
}
