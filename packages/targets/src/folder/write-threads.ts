import { Worker } from 'node:worker_threads';
import { DispatchError } from '@dicom-dispatch/core';
import { until } from '@dicom-dispatch/target-kit/flow';
import type { FileGroup, GroupAnswer, GroupResult } from './write-group.ts';

/** A thread without work for this time ends: it takes about 20 MB, and the memory that it keeps. */
const idleMs = 30_000;
/** With more folders at the same time, files of the others are written by the calls that are used for larger files. */
const maxThreads = 4;
/** After a thread has ended unexpectedly, or could not be started: files are written without threads meanwhile. */
const pauseMs = 600_000;
/** Memory of V8 for a thread that only passes names and numbers. */
const resourceLimits = { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 32 };

export type GroupToWrite = Omit<FileGroup, 'id' | 'progress'>;

export interface ThreadEvents {
  /** It has ended unexpectedly. */
  failed(): void;
  /** It does not exist any longer. */
  exited(): void;
}

/** A thread that writes files of one target folder: a disk that hangs blocks neither the process nor another folder. */
export class WriteThread {
  readonly #waiting = new Map<number, PromiseWithResolvers<readonly GroupResult[]>>();
  readonly #worker: Worker;
  readonly #progress = new Int32Array(new SharedArrayBuffer(4));
  readonly #events: ThreadEvents;
  readonly #started = Promise.withResolvers<void>();
  /** Resolves when the thread runs, or has ended. */
  readonly started = this.#started.promise;
  #memory: SharedArrayBuffer | undefined;
  #nextId = 0;
  #users = 0;
  #timer: NodeJS.Timeout | undefined;
  #hasEnded = false;

  constructor(worker: Worker, events: ThreadEvents) {
    this.#worker = worker;
    this.#events = events;
    worker.unref();
    worker.on('message', ({ id, results }: GroupAnswer) => {
      this.#started.resolve();
      this.#waiting.get(id)?.resolve(results);
      this.#waiting.delete(id);
    });
    worker.on('error', () => this.#fail());
    worker.on('exit', () => {
      this.#fail();
      events.exited();
    });
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

  /** @returns memory for the files of one delivery: that of an earlier one if it is large enough */
  takeMemory(bytes: number): SharedArrayBuffer {
    const kept = this.#memory;
    this.#memory = undefined;
    return kept && kept.byteLength >= bytes ? kept : new SharedArrayBuffer(bytes);
  }

  /** Keeps memory for the next delivery: V8 frees shared memory late, because it does not count its size. */
  keepMemory(memory: SharedArrayBuffer): void {
    if (!this.#hasEnded) this.#memory = memory;
  }

  /** Number of finished operations, of all deliveries: it does not change while the disk does not respond. */
  get finished(): number {
    return Atomics.load(this.#progress, 0);
  }

  /** Neither in use nor in an operation: it exits as soon as it is ended. */
  get isIdle(): boolean {
    return this.#users === 0 && this.#waiting.size === 0 && !this.#hasEnded;
  }

  /** No longer usable: it may still be in an operation that has not returned. */
  get hasEnded(): boolean {
    return this.#hasEnded;
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
    if (!this.#hasEnded) this.#events.failed();
    this.end();
  }

  /** Ends the thread, as soon as its running operation returns. */
  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#memory = undefined;
    this.#started.resolve();
    for (const { reject } of this.#waiting.values()) reject(ended());
    this.#waiting.clear();
    void this.#worker.terminate();
  }
}

function ended(): DispatchError {
  return new DispatchError('local-resources', 'the thread that writes files has ended');
}

function startWorker(): Worker {
  return new Worker(new URL('./write-thread.ts', import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    resourceLimits,
  });
}

/** Threads by the path of their folder, also ended ones whose last operation has not returned: they still take memory. */
export class WriteThreads {
  readonly #start: () => Worker;
  readonly #threads = new Map<string, WriteThread>();
  /** No thread is started before this time, by the clock of the process. */
  #notBefore = 0;

  constructor(start: () => Worker = startWorker) {
    this.#start = start;
  }

  /** The usable thread for a folder. */
  find(path: string): WriteThread | undefined {
    const thread = this.#threads.get(path);
    return thread?.hasEnded === true ? undefined : thread;
  }

  /**
   * The thread for a folder, once it runs; the caller releases it. The start may take long on a busy machine: it does not count as a
   * delay of the disk.
   *
   * @param isWorthStarting - whether to start it if it does not run
   * @returns undefined if there is none, and files are to be written without it
   * @throws {DispatchError} if the signal aborts
   */
  async acquire(path: string, isWorthStarting: boolean, signal: AbortSignal): Promise<WriteThread | undefined> {
    const thread = this.find(path) ?? (isWorthStarting ? this.#startFor(path) : undefined);
    if (!thread) return undefined;
    thread.use();
    let isUsable = false;
    try {
      await until(thread.started, signal);
      isUsable = !thread.hasEnded;
    } finally {
      if (!isUsable) thread.release();
    }
    return isUsable ? thread : undefined;
  }

  #startFor(path: string): WriteThread | undefined {
    if (this.#threads.has(path) || performance.now() < this.#notBefore) return undefined;
    if (this.#threads.size >= maxThreads) {
      const idle = [...this.#threads].find(([, { isIdle }]) => isIdle);
      if (!idle) return undefined;
      this.#threads.delete(idle[0]);
      idle[1].end();
    }
    const pause = (): void => void (this.#notBefore = performance.now() + pauseMs);
    let worker: Worker;
    try {
      worker = this.#start();
    } catch {
      // The limit of threads or memory of the process.
      pause();
      return undefined;
    }
    const exited = (): void => {
      if (this.#threads.get(path) === thread) this.#threads.delete(path);
    };
    const thread = new WriteThread(worker, { failed: pause, exited });
    this.#threads.set(path, thread);
    return thread;
  }
}

/** The threads of this process. */
export const writeThreads = new WriteThreads();
