import type { DimseError } from '../errors/dimse-error.ts';
import type { DataSetSink } from '../dimse/message-assembler.ts';

/** The stream that is paused while nothing reads the bytes. */
export interface Valve {
  pause(): void;
  resume(): void;
}

/** A data set on its way from the socket to a handler. Buffers `limitBytes`, then pauses the socket. Read it once. */
export class ByteQueue implements DataSetSink, AsyncIterable<Buffer> {
  readonly #valve: Valve;
  readonly #limitBytes: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isPaused = false;
  #isComplete = false;
  #isDiscarding = false;
  #error: DimseError | undefined;
  #wake: (() => void) | undefined;
  /** Resolves when the last byte has arrived, even if it was not read. */
  readonly complete: Promise<void>;
  #resolveComplete: () => void = () => {};

  constructor(valve: Valve, limitBytes: number) {
    this.#valve = valve;
    this.#limitBytes = limitBytes;
    this.complete = new Promise((resolve) => {
      this.#resolveComplete = resolve;
    });
  }

  write(piece: Buffer): void {
    if (this.#isDiscarding) return;
    this.#chunks.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes >= this.#limitBytes && !this.#isPaused) {
      this.#isPaused = true;
      this.#valve.pause();
    }
    this.#wake?.();
  }

  end(): void {
    this.#isComplete = true;
    this.#resolveComplete();
    this.#wake?.();
  }

  fail(error: DimseError): void {
    if (this.#isComplete) return;
    this.#error = error;
    this.#resolveComplete();
    this.#wake?.();
  }

  /** The rest is discarded. */
  discard(): void {
    this.#isDiscarding = true;
    this.#chunks = [];
    this.#bytes = 0;
    this.#open();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer, void, void> {
    try {
      for (;;) {
        const chunks = this.#chunks;
        this.#chunks = [];
        for (const chunk of chunks) {
          this.#bytes -= chunk.length;
          if (this.#bytes < this.#limitBytes / 2) this.#open();
          yield chunk;
        }
        if (this.#chunks.length > 0) continue;
        if (this.#error !== undefined) throw this.#error;
        if (this.#isComplete || this.#isDiscarding) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        this.#wake = undefined;
      }
    } finally {
      this.discard();
    }
  }

  #open(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#valve.resume();
  }
}
