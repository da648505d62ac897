import { Worker } from 'node:worker_threads';
import { DispatchError } from '@dicom-dispatch/core';
import type { FileGroup, GroupAnswer, GroupResult } from './write-group.ts';

/** A thread without work for this time ends: it takes about 20 MB. */
const idleMs = 30_000;
/** With more folders at the same time, files of the others are written by the calls that are used for larger files. */
const maxThreads = 4;
/** After a thread has failed by itself: files are written without threads meanwhile. */
const pauseMs = 600_000;
/** Memory of V8 for a thread that only passes names and numbers. */
const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 };

export type GroupToWrite = Omit<FileGroup, 'id' | 'progress'>;

/** A thread that writes files of one target folder: a disk that hangs blocks neither the process nor another folder. */
export class WriteThread {
  readonly #waiting = new Map<number, PromiseWithResolvers<readonly GroupResult[]>>();
  readonly #worker: Worker;
  readonly #progress = new Int32Array(new SharedArrayBuffer(4));
  readonly #onEnd: () => void;
  readonly #started = Promise.withResolvers<void>();
  /** Resolves when the thread runs, or has ended. */
  readonly started = this.#started.promise;
  #nextId = 0;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  /** @param onEnd - called when it is not usable any more */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
    this.#worker = new Worker(new URL('./write-thread.ts', import.meta.url), {
      execArgv: ['--disable-warning=ExperimentalWarning'],
      resourceLimits,
    });
    this.#worker.unref();
    this.#worker.on('message', ({ id, results }: GroupAnswer) => {
      this.#started.resolve();
      this.#waiting.get(id)?.resolve(results);
      this.#waiting.delete(id);
    });
    this.#worker.on('error', () => this.#fail());
    this.#worker.on('exit', () => this.#fail());
  }

  /** Keeps the thread until it is released. */
  use(): void {
    this.#users += 1;
    clearTimeout(this.#timer);
    // The process must not end while files are written.
    this.#worker.ref();
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0 || this.#hasEnded) return;
    this.#worker.unref();
    this.#timer = setTimeout(() => this.end(), idleMs).unref();
  }

  /** Number of finished operations, of all deliveries: it does not change while the disk does not respond. */
  get finished(): number {
    return Atomics.load(this.#progress, 0);
  }

  get isIdle(): boolean {
    return this.#users === 0;
  }

  /** @throws {DispatchError} if the thread ends before it has answered */
  write(group: GroupToWrite): Promise<readonly GroupResult[]> {
    const answer = Promise.withResolvers<readonly GroupResult[]>();
    if (this.#hasEnded) answer.reject(ended());
    else {
      const id = (this.#nextId += 1);
      this.#waiting.set(id, answer);
      // eslint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows, this is a thread
      this.#worker.postMessage({ ...group, id, progress: this.#progress.buffer } satisfies FileGroup);
    }
    return answer.promise;
  }

  #fail(): void {
    if (!this.#hasEnded) notBefore = performance.now() + pauseMs;
    this.end();
  }

  /** Ends the thread, as soon as its running operation returns. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#onEnd();
    this.#started.resolve();
    for (const { reject } of this.#waiting.values()) reject(ended());
    this.#waiting.clear();
    void this.#worker.terminate();
  }
}

function ended(): DispatchError {
  return new DispatchError('local-resources', 'the thread that writes files has ended');
}

/** No thread is started before this time, by the clock of the process. */
let notBefore = 0;
/** The threads of this process by the path of their folder. */
const threads = new Map<string, WriteThread>();

/**
 * The thread for a folder.
 *
 * @param isWorthStarting - whether to start it if it does not run
 */
export function threadFor(path: string, isWorthStarting: boolean): WriteThread | undefined {
  const running = threads.get(path);
  if (running || !isWorthStarting || performance.now() < notBefore) return running;
  if (threads.size >= maxThreads) [...threads.values()].find(({ isIdle }) => isIdle)?.end();
  if (threads.size >= maxThreads) return undefined;
  const thread = new WriteThread(() => {
    if (threads.get(path) === thread) threads.delete(path);
  });
  threads.set(path, thread);
  return thread;
}
