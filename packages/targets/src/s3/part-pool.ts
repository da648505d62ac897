import type { Permits } from '../flow/index.ts';
import type { PartMemory } from './parts.ts';

/**
 * The memory of a delivery's uploads: so many parts at most, whether they are being filled or sent, used again and again.
 */
export class PartPool {
  readonly #permits: Permits;
  readonly #usualBytes: number;
  readonly #free: Buffer[] = [];

  /** @param usualBytes - of a part, but for objects with more than ten thousand of them */
  constructor(permits: Permits, usualBytes: number) {
    this.#permits = permits;
    this.#usualBytes = usualBytes;
  }

  /** For the parts of one upload. `take` throws when the signal aborts. */
  memory(signal: AbortSignal): PartMemory {
    return { take: (bytes) => this.#take(bytes, signal), giveBack: (part) => this.giveBack(part) };
  }

  async #take(bytes: number, signal: AbortSignal): Promise<Buffer> {
    await this.#permits.take(signal);
    const index = this.#free.findIndex(({ length }) => length >= bytes);
    const [kept] = index < 0 ? [] : this.#free.splice(index, 1);
    // What is kept is too small for this upload: it would only lie beside what is used.
    if (!kept) this.#free.length = 0;
    // Always a whole one, though a last part is smaller: pieces of many sizes leave holes in memory.
    return (kept ?? Buffer.allocUnsafeSlow(Math.max(bytes, this.#usualBytes))).subarray(0, bytes);
  }

  /** Nothing reads the part any more. */
  giveBack(part: Buffer): void {
    this.#free.push(Buffer.from(part.buffer));
    this.#permits.give();
  }

  /** A request that was given up may still read the part: its memory is not used again. */
  giveUp(): void {
    this.#permits.give();
  }
}
