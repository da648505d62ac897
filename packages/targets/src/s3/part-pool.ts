import type { DeliveryRun } from '@dicom-dispatch/target-kit';
import type { Permits } from '@dicom-dispatch/target-kit/flow';
import type { PartMemory } from './parts.ts';

/** The memory of a delivery's uploads: a limited number of parts, being filled or sent, whose buffers are reused. */
export class PartPool {
  readonly #permits: Permits;
  readonly #usualBytes: number;
  readonly #reserve: DeliveryRun<unknown>['reserve'];
  readonly #free: Buffer[] = [];
  /** Functions that release the reservation of each buffer. */
  readonly #rooms = new Map<ArrayBufferLike, () => void>();
  #reserving = 0;

  /**
   * @param usualBytes - size of a part, except for objects with more than ten thousand of them
   * @param reserve - that of the run
   */
  constructor(permits: Permits, usualBytes: number, reserve: DeliveryRun<unknown>['reserve']) {
    this.#permits = permits;
    this.#usualBytes = usualBytes;
    this.#reserve = reserve;
  }

  /** For the parts of one upload. `take` throws if the signal aborts. */
  memory(signal: AbortSignal): PartMemory {
    return { take: (bytes) => this.#take(bytes, signal), releasePart: (part) => this.releasePart(part) };
  }

  async #take(bytes: number, signal: AbortSignal): Promise<Buffer> {
    await this.#permits.take(signal);
    const index = this.#free.findIndex(({ length }) => length >= bytes);
    const [kept] = index < 0 ? [] : this.#free.splice(index, 1);
    if (kept) return kept.subarray(0, bytes);
    // The cached buffers are too small for this upload: they would only waste memory.
    for (const small of this.#free.splice(0)) this.#giveRoom(small);
    // Always a buffer of the usual size, although a last part is smaller: buffers of many sizes fragment the memory.
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

  /** Call this when nothing reads the part any longer. */
  releasePart(part: Buffer): void {
    // This delivery waits for a reservation, which this memory may allow: a delivery that holds none gets it immediately.
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
