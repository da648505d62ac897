/** The writer of a queue. */
export interface QueueOwner {
  /** A chunk was read while more may arrive: the writer may continue. */
  drained(queue: BodyQueue): void;
  /** The reader has left before the end. */
  abandoned(queue: BodyQueue): void;
}

/**
 * Chunks between a socket that pushes and one reader that pulls, until the queue has ended or failed; a failure is thrown
 * after the preceding chunks were read. The reader may leave early.
 */
export class BodyQueue implements AsyncIterableIterator<Buffer> {
  #chunks: Buffer[] = [];
  #head = 0;
  #bufferedBytes = 0;
  #ended = false;
  #failure: Error | undefined;
  #waiting:
    | { resolve: (result: IteratorResult<Buffer, undefined>) => void; reject: (error: Error) => void }
    | undefined;
  #onEnded: (() => void) | undefined;
  readonly #owner: QueueOwner;

  constructor(owner: QueueOwner) {
    this.#owner = owner;
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  push(chunk: Buffer): void {
    const waiting = this.#waiting;
    if (waiting !== undefined) {
      this.#waiting = undefined;
      waiting.resolve({ value: chunk, done: false });
      return;
    }
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
  }

  end(): void {
    this.#close();
    this.#waiting?.resolve({ value: undefined, done: true });
    this.#waiting = undefined;
  }

  /** Calls `listener` once no more chunks will come (they may not all have been read yet). */
  whenEnded(listener: () => void): void {
    if (this.#ended) listener();
    else this.#onEnded = listener;
  }

  fail(error: Error): void {
    if (this.#ended) return;
    this.#close();
    if (this.#waiting === undefined) this.#failure = error;
    else this.#waiting.reject(error);
    this.#waiting = undefined;
  }

  next(): Promise<IteratorResult<Buffer, undefined>> {
    const chunk = this.#chunks[this.#head];
    if (chunk !== undefined) {
      this.#head += 1;
      if (this.#head === this.#chunks.length) {
        this.#chunks = [];
        this.#head = 0;
      }
      this.#bufferedBytes -= chunk.length;
      if (!this.#ended) this.#owner.drained(this);
      return Promise.resolve({ value: chunk, done: false });
    }
    if (this.#failure !== undefined) {
      const failure = this.#failure;
      this.#failure = undefined;
      return Promise.reject(failure);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  return(): Promise<IteratorResult<Buffer, undefined>> {
    this.#chunks = [];
    this.#head = 0;
    this.#bufferedBytes = 0;
    this.#failure = undefined;
    if (!this.#ended) {
      this.end();
      this.#owner.abandoned(this);
    }
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #close(): void {
    this.#ended = true;
    this.#onEnded?.();
    this.#onEnded = undefined;
  }
}
