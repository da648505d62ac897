import type { DeliveryRun } from '@dicom-dispatch/target-kit';
import type { Permits } from '@dicom-dispatch/target-kit/flow';
import type { PartMemory } from './parts.ts';

/**
 * The memory of a delivery's uploads: so many parts at most, whether they are being filled or sent, used again and again.
 */
export class PartPool {
  readonly #permits: Permits;
  readonly #usualBytes: number;
  readonly #reserve: DeliveryRun<unknown>['reserve'];
  readonly #free: Buffer[] = [];
  /** How the room of each piece of memory is given back. */
  readonly #rooms = new Map<ArrayBufferLike, () => void>();
  #reserving = 0;

  /**
   * @param usualBytes - of a part, but for objects with more than ten thousand of them
   * @param reserve - of the run
   */
  constructor(permits: Permits, usualBytes: number, reserve: DeliveryRun<unknown>['reserve']) {
    this.#permits = permits;
    this.#usualBytes = usualBytes;
    this.#reserve = reserve;
  }

  /** For the parts of one upload. `take` throws when the signal aborts. */
  memory(signal: AbortSignal): PartMemory {
    return { take: (bytes) => this.#take(bytes, signal), releasePart: (part) => this.releasePart(part) };
  }

  async #take(bytes: number, signal: AbortSignal): Promise<Buffer> {
    await this.#permits.take(signal);
    const index = this.#free.findIndex(({ length }) => length >= bytes);
    const [kept] = index < 0 ? [] : this.#free.splice(index, 1);
    if (kept) return kept.subarray(0, bytes);
    // What is kept is too small for this upload: it would only lie beside what is used.
    for (const small of this.#free.splice(0)) this.#giveRoom(small);
    // Always a whole one, though a last part is smaller: pieces of many sizes leave holes in memory.
    return (await this.#make(Math.max(bytes, this.#usualBytes), signal)).subarray(0, bytes);
  }

  async #make(bytes: number, signal: AbortSignal): Promise<Buffer> {
    this.#reserving += 1;
    try {
      const releasePart = await this.#reserve?.(bytes, signal);
      const part = Buffer.allocUnsafeSlow(bytes);
      if (releasePart) this.#rooms.set(part.buffer, releasePart);
      return part;
    } catch (thrown) {
      this.#permits.release();
      throw thrown;
    } finally {
      this.#reserving -= 1;
    }
  }

  #giveRoom({ buffer }: Buffer): void {
    this.#rooms.get(buffer)?.();
    this.#rooms.delete(buffer);
  }

  /** Nothing reads the part any more. */
  releasePart(part: Buffer): void {
    // Whoever waits for room gets that of this one, at once where the delivery holds nothing else.
    if (this.#reserving > 0) this.#giveRoom(part);
    else this.#free.push(Buffer.from(part.buffer));
    this.#permits.release();
  }

  /** A request that was given up may still read the part: its memory is not used again. */
  giveUp(part: Buffer): void {
    this.#giveRoom(part);
    this.#permits.release();
  }
}
