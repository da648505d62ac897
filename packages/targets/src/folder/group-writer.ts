import { setImmediate } from 'node:timers/promises';
import { until } from '@dicom-dispatch/target-kit/flow';
import { claimName } from '../template/index.ts';
import { silentFolder } from './errors.ts';
import type { Place } from './place.ts';
import type { FileOfGroup, GroupResult } from './write-group.ts';
import type { GroupToWrite, WriteThread } from './write-threads.ts';

/** Larger files are not written in groups. */
export const maxGroupFileBytes = 128 * 1024;
/** Maximum number of files in a group: a crash repeats at most these. */
export const maxGroupFiles = 32;
/** Lanes whose bytes arrive within this number of event loop iterations write one group. */
const turnsToGather = 4;

/** A small file whose content is in the memory of its lane. */
export interface GroupFile {
  /** Path of its folder, which stays valid until `write` has ended. */
  readonly base: string;
  readonly temporary: string;
  readonly name: string;
  readonly lane: number;
  readonly sizeBytes: number;
}

/** Memory of the lanes that write in groups. */
export interface LaneMemory {
  readonly count: number;
  /** Of one lane: larger files are not written in groups. */
  readonly bytes: number;
}

interface Waiting {
  readonly file: GroupFile;
  readonly answer: PromiseWithResolvers<GroupResult>;
}

type Thread = Pick<WriteThread, 'takeMemory' | 'keepMemory' | 'release' | 'write' | 'end' | 'finished'>;

/** Collects small files of the lanes of one delivery, and has a thread write one group after the other. */
export class GroupWriter implements Disposable {
  readonly #place: Place;
  readonly #thread: Thread;
  readonly #lanes: LaneMemory;
  readonly #memory: SharedArrayBuffer;
  readonly #stopped = new Int32Array(new SharedArrayBuffer(4));
  #waiting: Waiting[] = [];
  #isBusy = false;
  /** The thread may read the memory: it has not returned the results of a group. */
  #isMemoryInUse = false;

  /** @param thread - in use; it is released at the end */
  constructor(place: Place, thread: Thread, lanes: LaneMemory) {
    this.#place = place;
    this.#thread = thread;
    this.#lanes = lanes;
    this.#memory = thread.takeMemory(lanes.count * lanes.bytes);
  }

  /** Whether a file of a lane can be written in a group. */
  fits(lane: number, sizeBytes: number | undefined): boolean {
    return lane < this.#lanes.count && sizeBytes !== undefined && sizeBytes <= this.#lanes.bytes;
  }

  /** The memory of a lane: it may be filled after the previous file of the lane was written. */
  memoryOf(lane: number): Uint8Array {
    const { bytes } = this.#lanes;
    return new Uint8Array(this.#memory, lane * bytes, bytes);
  }

  /**
   * Writes one file together with those of other lanes. After a failure that is not a result, nothing more is written.
   *
   * @throws {DispatchError} if the signal aborts, the disk does not respond, or the thread ends
   */
  async write(file: GroupFile, signal: AbortSignal): Promise<GroupResult> {
    const answer = Promise.withResolvers<GroupResult>();
    try {
      this.#waiting.push({ file, answer });
      if (!this.#isBusy) void this.#work();
      return await until(answer.promise, signal);
    } catch (thrown) {
      // Before the caller closes the folder: its path may then name another folder.
      this.#stop();
      throw thrown;
    }
  }

  [Symbol.dispose](): void {
    this.#stop();
    if (!this.#isMemoryInUse) this.#thread.keepMemory(this.#memory);
    this.#thread.release();
  }

  #stop(): void {
    Atomics.store(this.#stopped, 0, 1);
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    for (let turn = 0; turn < turnsToGather; turn += 1) await setImmediate();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0);
      try {
        const isStopped = Atomics.load(this.#stopped, 0) !== 0;
        const results = isStopped ? [] : await this.#writeGroup(group.map(({ file }) => file));
        for (const [index, { answer }] of group.entries()) answer.resolve(results[index] ?? { kind: 'stopped' });
      } catch (thrown) {
        for (const { answer } of [...group, ...this.#waiting.splice(0)]) answer.reject(thrown);
      }
      // The lanes report their files, and open the next ones.
      await setImmediate();
    }
    this.#isBusy = false;
  }

  /** Writes a group while the thread makes progress: one operation takes at most the timeout of the target. */
  async #writeGroup(files: readonly GroupFile[]): Promise<readonly GroupResult[]> {
    const { config } = this.#place;
    this.#isMemoryInUse = true;
    const folders = [...new Set(files.map(({ base }) => base))];
    const writing = this.#thread.write({
      memory: this.#memory,
      stop: this.#stopped.buffer,
      folders,
      files: files.map((file): FileOfGroup => ({
        folder: folders.indexOf(file.base),
        temporary: file.temporary,
        name: file.name,
        claim: claimName(file.name),
        at: file.lane * this.#lanes.bytes,
        sizeBytes: file.sizeBytes,
      })),
      fsync: config.fsync,
      checkSize: config.verify !== 'none',
      mode: config.mode,
      owner: config.owner,
    } satisfies GroupToWrite);
    const results = await this.#withTimeout(writing);
    this.#isMemoryInUse = false;
    return results;
  }

  async #withTimeout<T>(writing: Promise<T>): Promise<T> {
    const { config } = this.#place;
    if (config.timeout === 0) return writing;
    const silence = Promise.withResolvers<never>();
    let { finished } = this.#thread;
    const timer = setInterval(() => {
      const before = finished;
      ({ finished } = this.#thread);
      if (finished !== before) return;
      silence.reject(silentFolder(config.path, config.timeout, 'Writing files'));
      this.#thread.end();
    }, config.timeout);
    try {
      return await Promise.race([writing, silence.promise]);
    } finally {
      clearInterval(timer);
    }
  }
}
