/** Maximum memory kept for reuse. */
const maxFreeBytes = 16 * 1024 * 1024;

/**
 * Memory blocks for reading bodies. A released block is reused: allocating hundreds of megabytes per
 * second makes V8 collect garbage continuously (measured: two thirds of the cost of a 0.5 MB instance, and 100 MB more
 * resident). A block that is never released is simply garbage later: releasing is optional.
 */
export class BlockPool {
  readonly #free = new Map<number, Buffer[]>();
  readonly #lent = new WeakSet<ArrayBufferLike>();
  #freeBytes = 0;

  /** A block of `bytes`, of any content. */
  take(bytes: number): Buffer {
    const size = roundUp(bytes);
    const block = this.#free.get(size)?.pop();
    if (block === undefined) {
      const fresh = Buffer.allocUnsafeSlow(size);
      this.#lent.add(fresh.buffer);
      return fresh.length === bytes ? fresh : fresh.subarray(0, bytes);
    }
    this.#freeBytes -= size;
    this.#lent.add(block.buffer);
    return block.length === bytes ? block : block.subarray(0, bytes);
  }

  /** Takes back the block of `chunk`. Memory that was not lent, or was already released, is ignored. */
  release(chunk: Uint8Array): void {
    const memory = chunk.buffer;
    if (!this.#lent.delete(memory)) return;
    const size = memory.byteLength;
    // Sizes that are no longer used must not fill the pool permanently.
    if (this.#freeBytes + size > maxFreeBytes) this.clear();
    this.#freeBytes += size;
    const alike = this.#free.get(size);
    const block = Buffer.from(memory);
    if (alike === undefined) this.#free.set(size, [block]);
    else alike.push(block);
  }

  clear(): void {
    this.#free.clear();
    this.#freeBytes = 0;
  }
}

/** Few sizes, so that blocks fit the next instance, and little waste: steps of 4 KiB up to 64 KiB, then of 64 KiB. */
function roundUp(bytes: number): number {
  const step = bytes <= 64 * 1024 ? 4 * 1024 : 64 * 1024;
  return Math.max(1, Math.ceil(bytes / step)) * step;
}
