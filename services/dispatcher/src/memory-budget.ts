/** Releases the memory. Calling it again changes nothing. */
export type ReleaseMemory = () => void;

/** Purposes for which a delivery holds memory. */
export type RoomKind =
  /** An open instance, from before it is opened until the handler releases it. */
  | 'instance'
  /** Parts of uploads that are filled or sent. */
  | 'part';

interface Waiter {
  readonly share: MemoryShare;
  readonly bytes: number;
  readonly kind: RoomKind;
  grant(): void;
}

/**
 * The memory for the bytes of instances in one process, shared by its deliveries. Memory is requested before it is used, and
 * the delivery that holds least is served first. A delivery that holds nothing of a kind gets it immediately, regardless of
 * the others: so each delivery can continue independently, a stalled target blocks no others, and there are no deadlocks. The
 * cost is that the budget may be exceeded by one instance and one part for each delivery.
 */
export class MemoryBudget {
  #maxBytes: number;
  #usedBytes = 0;
  #waiting: Waiter[] = [];

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Applies the size of a reloaded configuration: reservations stay. */
  resize(maxBytes: number): void {
    this.#maxBytes = maxBytes;
    this.#serve();
  }

  /** The reservations of one attempt of a delivery. */
  share(): MemoryShare {
    return new MemoryShare({
      take: (share, bytes, kind, signal) => this.#take(share, bytes, kind, signal),
      release: (bytes) => {
        this.#usedBytes -= bytes;
        this.#serve();
      },
    });
  }

  async #take(share: MemoryShare, bytes: number, kind: RoomKind, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (!share.holds(kind) || (this.#waiting.length === 0 && this.#fits(bytes))) return this.#lend(share, bytes, kind);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#waiting = this.#waiting.filter((one) => one !== waiter);
      reject(signal.reason as Error);
      this.#serve();
    };
    const waiter: Waiter = {
      share,
      bytes,
      kind,
      grant: () => {
        signal.removeEventListener('abort', abort);
        resolve();
      },
    };
    signal.addEventListener('abort', abort, { once: true });
    this.#waiting.push(waiter);
    await promise;
  }

  #fits(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.#maxBytes;
  }

  #lend(share: MemoryShare, bytes: number, kind: RoomKind): void {
    this.#usedBytes += bytes;
    share.lent(bytes, kind);
  }

  #serve(): void {
    for (;;) {
      let next: Waiter | undefined;
      for (const one of this.#waiting) if (!next || isBefore(one, next)) next = one;
      // The next request is never overtaken: a large one would wait forever behind small ones.
      if (!next || (next.share.holds(next.kind) && !this.#fits(next.bytes))) return;
      this.#waiting = this.#waiting.filter((one) => one !== next);
      this.#lend(next.share, next.bytes, next.kind);
      next.grant();
    }
  }
}

function isBefore(one: Waiter, other: Waiter): boolean {
  const [mayPass, otherMay] = [one, other].map(({ share, kind }) => !share.holds(kind));
  if (mayPass !== otherMay) return mayPass === true;
  return one.share.heldBytes < other.share.heldBytes;
}

interface Lender {
  take(share: MemoryShare, bytes: number, kind: RoomKind, signal: AbortSignal): Promise<void>;
  release(bytes: number): void;
}

/** The reservations of one attempt of a delivery. */
export class MemoryShare implements Disposable {
  readonly #lender: Lender;
  readonly #counts: Record<RoomKind, number> = { instance: 0, part: 0 };
  #heldBytes = 0;
  #isClosed = false;

  constructor(lender: Lender) {
    this.#lender = lender;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  holds(kind: RoomKind): boolean {
    return this.#counts[kind] > 0;
  }

  /** Called by `MemoryBudget` only. */
  lent(bytes: number, kind: RoomKind): void {
    this.#heldBytes += bytes;
    this.#counts[kind] += 1;
  }

  /**
   * Waits for memory.
   *
   * @throws the reason of the signal when it aborts first
   */
  async take(bytes: number, kind: RoomKind, signal: AbortSignal): Promise<ReleaseMemory> {
    await this.#lender.take(this, bytes, kind, signal);
    let isHeld = true;
    return () => {
      if (!isHeld || this.#isClosed) return;
      isHeld = false;
      this.#heldBytes -= bytes;
      this.#counts[kind] -= 1;
      this.#lender.release(bytes);
    };
  }

  /** Releases everything: the attempt has ended, and nothing of it is running. */
  [Symbol.dispose](): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const bytes = this.#heldBytes;
    this.#heldBytes = 0;
    this.#lender.release(bytes);
  }
}
