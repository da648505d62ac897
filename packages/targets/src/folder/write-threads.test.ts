import { EventEmitter } from 'node:events';
import type { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { WriteThreads, type GroupToWrite } from './write-threads.ts';

/** Stands for a thread: what it does is decided by the test. */
class TestWorker extends EventEmitter {
  ref(): void {}
  unref(): void {}
  postMessage(): void {}
  /** Ends only when the test emits `exit`, as one whose operation on a disk does not return. */
  terminate(): Promise<number> {
    return Promise.resolve(0);
  }
}

const { signal } = new AbortController();

function threadsOf() {
  const workers: TestWorker[] = [];
  const threads = new WriteThreads(() => {
    const worker = new TestWorker();
    workers.push(worker);
    return worker as unknown as Worker;
  });
  const acquire = async (path: string) => {
    const acquired = threads.acquire(path, true, signal);
    workers.at(-1)?.emit('message', { id: 0, results: [] });
    return acquired;
  };
  return { threads, workers, acquire };
}

it('files are written without a thread, for some time, if none can be started', async () => {
  let starts = 0;
  const threads = new WriteThreads(() => {
    starts += 1;
    throw new Error('ERR_WORKER_INIT_FAILED');
  });
  expect(await threads.acquire('/a', true, signal)).toBeUndefined();
  expect(await threads.acquire('/a', true, signal)).toBeUndefined();
  expect(starts).toBe(1);
});

it('files are written without a thread that ends during its start', async () => {
  const { threads, workers } = threadsOf();
  const acquired = threads.acquire('/a', true, signal);
  workers[0]?.emit('exit', 1);
  expect(await acquired).toBeUndefined();
  expect(await threads.acquire('/a', true, signal)).toBeUndefined();
  expect(workers).toHaveLength(1);
});

it('an ended thread that has not exited is counted, and its folder gets no other one', async () => {
  const { threads, workers, acquire } = threadsOf();
  for (const path of ['/a', '/b', '/c', '/d']) (await acquire(path))?.end();
  expect(threads.find('/a')).toBeUndefined();
  expect(await threads.acquire('/a', true, signal)).toBeUndefined();
  expect(await threads.acquire('/e', true, signal)).toBeUndefined();
  workers[0]?.emit('exit', 1);
  expect(await acquire('/e')).toBeDefined();
  expect(await threads.acquire('/a', true, signal)).toBeUndefined();
  expect(workers).toHaveLength(5);
  threads.find('/e')?.end();
});

it('an idle thread ends when another folder requires one, but not one whose group has no answer', async () => {
  const { threads, workers, acquire } = threadsOf();
  for (const path of ['/a', '/b', '/c', '/d']) {
    const thread = await acquire(path);
    if (path === '/b') thread?.write({} as GroupToWrite).catch(() => {});
    thread?.release();
  }
  expect(await acquire('/e')).toBeDefined();
  expect(threads.find('/a')).toBeUndefined();
  expect(workers).toHaveLength(5);
  for (const path of ['/f', '/g']) await acquire(path);
  expect(threads.find('/b')).toBeDefined();
  expect(await threads.acquire('/h', true, signal)).toBeUndefined();
  for (const path of ['/b', '/e', '/f', '/g']) threads.find(path)?.end();
});

it('a delivery uses the memory of an earlier one, and never that of one at the same time', async () => {
  const { acquire } = threadsOf();
  const thread = await acquire('/a');
  const first = thread!.takeMemory(100);
  expect(thread!.takeMemory(100)).not.toBe(first);
  thread!.keepMemory(first);
  expect(thread!.takeMemory(50)).toBe(first);
  thread!.keepMemory(first);
  expect(thread!.takeMemory(101).byteLength).toBe(101);
  thread!.end();
});
